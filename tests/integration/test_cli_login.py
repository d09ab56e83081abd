"""Users, logins and tokens on the command line, with a broker that runs."""

import json
import subprocess

import msgspec
import pytest
from served import BROKER, Served

from broker.cli.tokens import TokenFile

PASSWORD = "corr3ct-horse-1"


class Guarded(Served):
    """A broker with auth_jwt, whose admin has a known password."""

    def environment(self):
        return {
            **super().environment(),
            "BROKER__BROKER__PLUGINS": "storage_sqlite,auth_jwt",
            "BROKER_ADMIN_PASSWORD": PASSWORD,
            "BROKER_CONFIG": str(self.config),
            "XDG_CONFIG_HOME": str(self.directory / "config"),
        }

    def do(self, *args, input="", **environment):
        """Run a command as a process of its own, to its end."""
        return subprocess.run(
            [*BROKER, *args],
            env={**self.environment(), **environment},
            cwd=self.directory,
            input=input,
            capture_output=True,
            text=True,
        )

    def audited(self):
        lines = (self.directory / "audit.jsonl").read_text().splitlines()
        return [json.loads(line)["action"] for line in lines]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    broker = Guarded(tmp_path_factory.mktemp("guarded"), anonymous="false")
    yield broker
    broker.end()


@pytest.fixture
def kept(guarded, monkeypatch):
    """The file of the login; there is none yet."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(guarded.directory / "config"))
    file = TokenFile(guarded.url)
    file.remove()
    return file


def test_a_login_opens_what_it_is_for_until_it_is_ended(guarded, kept):
    refused = guarded.do("queue", "list")
    assert (refused.returncode, refused.stderr) == (
        4,
        "broker: credentials are missing\nbroker: log in with: broker login; or set BROKER_TOKEN\n",
    )

    done = guarded.do("login", "admin", input=PASSWORD)
    assert (done.returncode, done.stderr) == (0, f"logged in at {guarded.url} as admin\n")
    assert guarded.do("publish", "mail", "hello", "--create").returncode == 0
    assert guarded.do("consume", "mail").stdout == "hello\n"

    access_token = kept.read().access_token
    assert guarded.do("logout").returncode == 0
    assert guarded.do("queue", "list").returncode == 4
    stolen = guarded.do("queue", "list", BROKER_TOKEN=access_token)
    assert (stolen.returncode, stolen.stderr.splitlines()[1]) == (
        4,
        "broker: the token in BROKER_TOKEN is over, or is not for this broker",
    )


def test_a_wrong_password_is_exit_code_4(guarded, kept):
    done = guarded.do("login", "admin", input="something else")

    assert (done.returncode, done.stderr) == (4, "broker: wrong user name or password\n")
    assert kept.read() is None


def test_commands_that_run_at_once_renew_a_login_once(guarded, kept):
    guarded.do("login", "admin", input=PASSWORD)
    for _ in range(2):  # the second time with the refresh token of the first
        tokens = kept.read()
        with kept.locked():
            kept.write(msgspec.structs.replace(tokens, expires_at=0.0))

        commands = [guarded.begin("queue", "list") for _ in range(6)]

        for command in commands:
            _, errors = command.communicate()
            assert (command.returncode, errors) == (0, b"")
        assert kept.read().refresh_token != tokens.refresh_token
    assert "refresh.reused" not in guarded.audited()


def test_a_user_who_is_disabled_is_out_at_the_next_request(guarded, kept):
    guarded.do("user", "add", "anna", "--grant", "publish:orders-*", input=PASSWORD)
    guarded.do("login", "admin", input=PASSWORD)
    guarded.do("queue", "create", "orders-1")
    guarded.do("queue", "create", "bills")
    guarded.do("login", "anna", input=PASSWORD)
    assert guarded.do("publish", "orders-1", "hello").returncode == 0
    assert guarded.do("publish", "bills", "hello").returncode == 3  # not seen, so not there

    guarded.do("user", "disable", "anna")
    done = guarded.do("publish", "orders-1", "hello")

    assert (done.returncode, done.stderr) == (
        4,
        f"broker: the login at {guarded.url} is over\nbroker: log in again: broker login\n",
    )
    assert kept.read() is None


def test_a_token_of_a_program_does_what_it_is_for_until_it_is_revoked(guarded):
    made = guarded.do("token", "create", "shop", "--grant", "publish:orders-*")
    token = made.stdout.strip()
    guarded.do("login", "admin", input=PASSWORD)
    guarded.do("queue", "create", "orders-2")
    assert guarded.do("publish", "orders-2", "hello", BROKER_TOKEN=token).returncode == 0
    assert guarded.do("consume", "orders-2", BROKER_TOKEN=token).returncode == 4

    assert guarded.do("token", "revoke", "shop").returncode == 0

    assert guarded.do("publish", "orders-2", "hello", BROKER_TOKEN=token).returncode == 4
