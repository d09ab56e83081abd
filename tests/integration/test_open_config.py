"""Secrets in a config file that everybody on the machine can read are refused, by every command."""

import json
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner

from broker.cli import cli

pytestmark = pytest.mark.usefixtures("clean_environment")

ACME = """
    import click
    from pydantic import BaseModel, SecretStr
    from broker import hookimpl

    class Config(BaseModel):
        password: SecretStr = SecretStr("hunter2")
        others: dict[str, SecretStr] = {}

    @hookimpl
    def config_schema():
        return Config

    @hookimpl
    def register_commands(cli):
        @cli.command()
        @click.pass_obj
        def acme(plugin):
            click.echo(plugin.config.password.get_secret_value())
"""

FILE = """
[broker]
plugins = ["acme", "memory"]
{broker}
[plugins.acme]
{acme}
"""

REMEDY = (
    'a secret, in a file that everybody on this machine can read; "chmod 600 broker.toml", '
    'or refer to it by { env = "NAME" } or { file = "path" }'
)


@pytest.fixture(autouse=True)
def directory(tmp_path, monkeypatch, install):
    install("acme", ACME)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(acme, *, mode=0o644, broker=""):
    file = Path("broker.toml")
    file.write_text(FILE.format(acme=acme, broker=broker))
    file.chmod(mode)


def run(*arguments):
    return CliRunner().invoke(cli, arguments, prog_name="broker")


@pytest.mark.parametrize(
    "command", ["config check", "config show", "config schema", "serve", "doctor", "acme"]
)
def test_every_command_that_needs_the_config_refuses_it(command):
    write('password = "hunter3"')

    result = run(*command.split())

    assert result.exit_code == 78
    assert f"plugins.acme.password: {REMEDY}" in result.output
    assert "hunter3" not in result.output


def test_the_plugin_is_listed_with_what_is_wrong_with_it():
    write('password = "hunter3"')

    result = run("plugins", "--json")

    [acme] = [row for row in json.loads(result.stdout) if row["name"] == "acme"]
    assert acme["why_not"] == f"broken: plugins.acme.password: {REMEDY}"


def test_all_such_keys_are_named_beside_whatever_else_is_wrong():
    write('password = "hunter3"\nothers = { a = "hunter4", b = 5 }', broker="anonymous = 1")

    result = run("config", "check")

    assert result.stderr.splitlines() == [
        "broker: broker.toml: 5 problems",
        "broker:   broker.anonymous: expected true or false; got 1",
        f"broker:   plugins.acme.password: {REMEDY}",
        f"broker:   plugins.acme.others.a: {REMEDY}",
        f"broker:   plugins.acme.others.b: {REMEDY}",
        "broker:   plugins.acme.others.b: expected a string; got ********",
    ]


@pytest.mark.parametrize("mode", [0o604, 0o644, 0o664, 0o444, 0o606])
def test_what_others_can_read_is_refused(mode):
    write('password = "hunter3"', mode=mode)

    assert run("config", "check").exit_code == 78


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o640, 0o660])
def test_what_the_owner_or_the_group_of_the_broker_can_read_is_taken(mode):
    write('password = "hunter3"', mode=mode)

    assert run("acme").stdout == "hunter3\n"


def test_the_file_is_judged_and_not_a_link_to_it():
    write('password = "hunter3"')
    Path("broker.toml").rename("real.toml")
    Path("broker.toml").symlink_to("real.toml")
    assert run("config", "check").exit_code == 78

    Path("real.toml").chmod(0o600)
    assert run("config", "check").exit_code == 0


def test_a_file_without_a_secret_may_be_read_by_everybody():
    write("")

    assert run("acme").stdout == "hunter2\n"


@pytest.mark.parametrize("mode", [0o444, 0o600])
def test_a_file_that_is_referred_to_may_have_any_mode(directory, mode):
    # Kubernetes and Docker mount secrets so that all users of a container can read them.
    (directory / "password").write_text("from a file\n")
    (directory / "password").chmod(mode)
    write('password = { file = "password" }')

    assert run("acme").stdout == "from a file\n"


def test_a_variable_that_is_referred_to_is_no_secret_in_the_file(monkeypatch):
    monkeypatch.setenv("PASSWORD", "from a variable")
    write('password = { env = "PASSWORD" }')

    assert run("acme").stdout == "from a variable\n"


def test_what_a_variable_replaces_is_a_secret_no_more(monkeypatch):
    monkeypatch.setenv("BROKER__PLUGINS__ACME__PASSWORD", "from the environment")
    write('password = "set BROKER__PLUGINS__ACME__PASSWORD"')

    assert run("acme").stdout == "from the environment\n"


def credentials(directory):
    """A directory as systemd makes it for LoadCredential: flat, and read-only."""
    made = directory / "credentials"
    made.mkdir()
    (made / "plugins__acme__password").write_text("from systemd\n")
    (made / "plugins__acme__password").chmod(0o440)
    made.chmod(0o500)
    return made


def test_a_credential_of_systemd_is_a_secret(directory, monkeypatch):
    monkeypatch.setenv("BROKER_SECRETS_DIR", str(credentials(directory)))
    write("")

    assert run("acme").stdout == "from systemd\n"
    assert "from systemd" not in run("config", "show").output


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_the_config_is_shown_without_secrets(options):
    write('password = "hunter3"\nothers = { a = "hunter4" }', mode=0o600)

    shown = run("config", "show", *options)

    assert shown.exit_code == 0
    assert shown.output.count('"********"') == 2
    assert "hunter" not in shown.output


def test_a_new_file_is_for_its_owner_alone():
    assert run("config", "init").exit_code == 0

    assert stat.S_IMODE(Path("broker.toml").stat().st_mode) == 0o600
