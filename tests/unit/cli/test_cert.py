"""`broker cert`."""

import json
import re

import pytest
from click.testing import CliRunner

from broker.cli import cli


@pytest.fixture(autouse=True)
def directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments):
    return CliRunner().invoke(cli, ["cert", "dev", *arguments], prog_name="broker")


def test_it_is_made_here_and_its_use_is_told(directory):
    done = run()

    assert done.exit_code == 0
    first, second, *_ = done.stdout.splitlines()
    assert first.startswith(f"made {directory}/dev-cert.pem, for localhost, ")
    assert second == f"made {directory}/dev-key.pem"
    assert '  tls = "dev"\n' in done.stdout
    assert f"  SSL_CERT_FILE={directory}/dev-cert.pem broker queue list --url https" in done.stdout
    assert f"  curl --cacert {directory}/dev-cert.pem https://localhost" in done.stdout


def test_it_is_kept_unless_it_is_to_be_replaced(directory):
    (directory / "data").mkdir()
    answers = [
        json.loads(run("--directory", "data", "--json", *more).stdout)
        for more in ([], [], ["--force"])
    ]

    assert [answer["made"] for answer in answers] == [True, False, True]
    assert {answer["cert"] for answer in answers} == {str(directory / "data" / "dev-cert.pem")}
    assert {answer["key"] for answer in answers} == {str(directory / "data" / "dev-key.pem")}
    assert set(answers[0]) == {"cert", "key", "expires_at", "made"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", answers[0]["expires_at"])


def test_a_directory_that_is_not_there_is_a_wrong_option():
    assert run("--directory", "nowhere").exit_code == 2
