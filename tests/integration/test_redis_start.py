"""Starting a broker that shall count in Redis: right, wrong, and while that is away."""

import json
import subprocess
import sys

import httpx
import pytest
import valkeys
from click.testing import CliRunner
from served import Served

from broker.cli import cli

TABLES = """
[plugins.ratelimit]
url = "{}"
when_unavailable = "{}"
"""
NO_DATABASE = "expected the number of a database after the host, such as /0"
LOCAL = "until it does, this broker counts for itself"


@pytest.fixture
def make_config(tmp_path):
    """Write a config with this URL; return its path."""

    def make(url, when_unavailable="local"):
        path = tmp_path / "broker.toml"
        path.touch(0o600)
        head = f'[broker]\nplugins = ["ratelimit"]\nanonymous = true\ndata_dir = "{tmp_path}"\n'
        path.write_text(head + TABLES.format(url, when_unavailable))
        return path

    return make


def run(*command):
    return CliRunner().invoke(cli, command, prog_name="broker")


def findings(path):
    """Return how the doctor finds the limiter, what the log says of it, and the exit code."""
    done = run("doctor", "--config", str(path), "--json")
    told = [
        (found["level"], found["check"], found["text"])
        for found in json.loads(done.stdout)["findings"]
        if found["subject"] == "ratelimit" and found["check"].startswith("provider")
    ]
    return told, done.exit_code


def away():
    return f"127.0.0.1:{valkeys.free_port()}"


@pytest.mark.parametrize("command", ["serve", "config check", "doctor"])
def test_a_url_that_is_none_is_refused_before_anything_is_opened(make_config, command):
    path = make_config("redis://:tell-nobody@127.0.0.1/zero")
    done = run(*command.split(), "--config", str(path))

    assert done.exit_code == 78
    assert f"plugins.ratelimit.url: {NO_DATABASE}; got ********" in done.output
    assert "tell-nobody" not in done.output


def test_what_is_no_redis_ends_the_start(make_config, tmp_path):
    (tmp_path / "other").mkdir()
    other = Served(tmp_path / "other")
    address = other.url.removeprefix("http://")
    path = make_config(f"redis://:tell-nobody@{address}")
    command = [sys.executable, "-m", "broker", "serve", "--config", path, "--port", "0"]
    done = subprocess.run(command, capture_output=True, text=True)
    other.end()

    assert done.returncode == 78
    assert done.stderr.startswith(f"broker: plugins.ratelimit.url: {address} answers, but not as ")
    assert len(done.stderr.splitlines()) == 1
    assert "tell-nobody" not in done.stderr


def test_the_url_is_not_shown(make_config):
    path = make_config("redis://:tell-nobody@127.0.0.1")
    done = run("config", "show", "--config", str(path))

    assert 'url = "********"' in done.stdout
    assert "tell-nobody" not in done.output


def test_a_broker_whose_redis_is_away_starts_and_says_so(tmp_path):
    address = away()
    (tmp_path / "broker.toml").touch(0o600)
    tables = TABLES.format(f"redis://:tell-nobody@{address}", "local")
    served = Served(tmp_path, plugins=["ratelimit"], tables=tables)
    ready = httpx.get(f"{served.url}/readyz").status_code
    served.end()

    assert ready == 200
    [notice] = [line for line in served.screen["notices"] if "Redis at" in line]
    assert notice.startswith(f"Redis at {address} does not count (")
    assert notice.endswith(f"; {LOCAL}")
    [line] = [line for line in served.log().splitlines() if "[warning" in line]
    assert notice in line
    assert "tell-nobody" not in served.log()


def test_a_broker_that_lets_nobody_through_is_not_ready(tmp_path):
    (tmp_path / "broker.toml").touch(0o600)
    tables = TABLES.format(f"redis://{away()}", "deny")
    served = Served(tmp_path, plugins=["ratelimit"], tables=tables)
    ready = httpx.get(f"{served.url}/readyz")
    served.end()

    assert ready.status_code == 503


def test_the_doctor_warns_of_a_redis_that_is_away(make_config, patience):
    address = away()
    [opened, logged], code = findings(make_config(f"redis://{address}"))

    assert opened[:2] == ("ok", "provider")
    assert logged[:2] == ("warning", "provider-log")
    assert logged[2].startswith(f"Redis at {address} does not count (")
    assert logged[2].endswith(LOCAL)
    assert code == 1


def test_a_redis_that_is_away_is_an_error_for_the_doctor_if_nobody_is_let_through(make_config):
    told, code = findings(make_config(f"redis://{away()}", "deny"))

    unable = "requests cannot be counted now, and none is let through uncounted"
    assert ("error", "provider-ping", unable) in told
    assert code == 5


def test_the_doctor_finds_nothing_wrong_with_a_redis_that_counts(make_config, valkey):
    [(level, check, text)], _ = findings(make_config(valkey.url))

    assert (level, check) == ("ok", "provider")
    assert text.startswith("Limiter: open ")


def test_the_doctor_says_what_is_wrong_with_a_redis(make_config, start_valkey):
    valkey = start_valkey(password="secret")
    told, code = findings(make_config(f"redis://:guess@{valkey.address}"))

    assert told == [
        (
            "error",
            "provider-open",
            f"plugins.ratelimit.url: {valkey.address} refuses the user name "
            "or the password (invalid username-password pair or user is disabled.)",
        )
    ]
    assert code == 78
