"""`broker plugin new`."""

import json

import pytest
from click.testing import CliRunner

from broker.cli import cli
from broker.scaffold.roles import ROLES


@pytest.fixture(autouse=True)
def directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments):
    return CliRunner().invoke(cli, ["plugin", *arguments], prog_name="broker")


def new(name, *more, role="observer"):
    return run("new", name, "--role", role, *more)


def test_it_is_written_here_and_what_comes_next_is_told(directory):
    done = new("acme")

    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == (
        "wrote broker-acme, which keeps the contract of the role observer; next:\n"
        "  cd broker-acme\n"
        "  pip install --editable '.[test]'\n"
        "  pytest\n"
        'To run it, add "acme" to `plugins` in broker.toml; then: broker doctor\n'
    )
    assert (directory / "broker-acme" / "broker_acme" / "observer.py").is_file()


def test_it_is_written_elsewhere_and_told_as_json(directory):
    (directory / "my plugins").mkdir()

    told = new("rate-card", "--directory", "my plugins", "--json").stdout

    assert json.loads(told) == {
        "path": "my plugins/broker-rate-card",
        "plugin": "rate_card",
        "package": "broker_rate_card",
    }
    assert (directory / "my plugins" / "broker-rate-card" / "pyproject.toml").is_file()


def test_a_path_with_a_blank_can_be_pasted(directory):
    (directory / "my plugins").mkdir()

    told = new("acme", "--directory", "my plugins").stdout

    assert "  cd 'my plugins/broker-acme'\n" in told


@pytest.mark.parametrize(
    ("name", "role", "reason"),
    [
        ("Acme", "storage", 'expected a name like "rate-card", a letter and then a-z 0-9 - _'),
        ("broker-acme", "storage", 'its package begins with broker_ by itself; name it "acme"'),
        ("rest", "transport", '"rest" is a plugin of replika-broker already; choose another name'),
        ("auth-jwt", "storage", '"auth_jwt" is a plugin of replika-broker-auth-jwt already'),
        ("taken", "storage", '"taken" is the installed package broker_taken already'),
        ("ordered", "storage", '"ordered" is the class broker.OrderedStorage already'),
    ],
)
def test_a_name_that_will_not_do_is_refused(directory, monkeypatch, name, role, reason):
    (directory / "broker_taken").mkdir()
    monkeypatch.syspath_prepend(str(directory))

    done = new(name, role=role)

    assert (done.exit_code, done.stdout) == (2, "")
    assert f"Invalid value for NAME: {reason}" in done.stderr
    assert [path.name for path in directory.iterdir()] == ["broker_taken"]


def test_nothing_is_overwritten(directory):
    (directory / "broker-acme").mkdir()

    done = new("acme")

    assert (done.exit_code, done.stdout) == (2, "")
    assert "Error: broker-acme is there already; nothing was written" in done.stderr
    assert list((directory / "broker-acme").iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [("new", "acme"), ("new", "acme", "--role", "dashboard"), ("new", "--role", "storage")],
)
def test_a_name_and_a_role_are_needed(arguments):
    assert run(*arguments).exit_code == 2


def test_a_directory_that_is_not_there_is_a_wrong_option():
    assert new("acme", "--directory", "nowhere").exit_code == 2


def test_the_help_names_the_roles_and_the_other_command():
    told = " ".join(run("new", "--help").stdout.split())

    assert f"[{'|'.join(ROLES)}]" in told
    assert "`broker plugins` lists those that are installed" in run("--help").stdout
