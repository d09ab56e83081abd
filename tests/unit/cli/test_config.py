"""`broker config`."""

import json
import stat
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from broker.cli import cli
from broker.config import read_config

pytestmark = pytest.mark.usefixtures("clean_environment")

STORAGE = """
    from pydantic import BaseModel, SecretStr
    from broker import hookimpl

    class Config(BaseModel):
        path: str = "broker.db"
        password: SecretStr = SecretStr("")

    @hookimpl
    def config_schema():
        return Config
"""

FILE = """
[broker]
plugins = ["acme"]
disable = ["rest", "log"]
[plugins.acme]
password = "hunter2"
"""


@pytest.fixture(autouse=True)
def directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def acme(install):
    install("acme", STORAGE, version="1.2")
    Path("broker.toml").write_text(FILE)
    Path("broker.toml").chmod(0o600)


def run(*arguments):
    return CliRunner().invoke(cli, ["config", *arguments])


def test_init_writes_a_file_for_the_owner_only_that_can_be_read():
    result = run("init")

    assert result.exit_code == 0
    assert result.stdout == "wrote broker.toml; start the broker with: broker serve\n"
    assert stat.S_IMODE(Path("broker.toml").stat().st_mode) == 0o600
    config = read_config()
    assert config.broker.plugins == ("storage_sqlite", "auth_jwt")
    assert not config.broker.anonymous
    assert config.server.host == "127.0.0.1"
    assert config.plugins == {
        "storage_sqlite": {"path": "broker.db"},
        "auth_jwt": {"database": "auth.db"},
    }
    assert config.warnings == ()


@pytest.mark.parametrize("option", ["--path", "--config"])
def test_init_writes_where_it_is_told(directory, option):
    result = run("init", option, "mine.toml")

    assert result.stdout == (
        "wrote mine.toml; start the broker with: broker serve --config mine.toml\n"
    )
    assert Path("mine.toml").exists()
    assert json.loads(run("init", "--path", "two.toml", "--json").stdout) == {"path": "two.toml"}


def test_init_refuses_to_overwrite():
    Path("broker.toml").write_text("mine")

    result = run("init")

    assert result.exit_code == 1
    assert result.stderr == "broker: broker.toml is there already; --force overwrites it\n"
    assert Path("broker.toml").read_text() == "mine"


def test_init_overwrites_when_it_is_forced():
    Path("broker.toml").write_text("mine" * 1000)
    Path("broker.toml").chmod(0o644)

    assert run("init", "--force").exit_code == 0

    assert read_config().broker.plugins == ("storage_sqlite", "auth_jwt")
    assert stat.S_IMODE(Path("broker.toml").stat().st_mode) == 0o600


def test_init_says_what_keeps_it_from_writing():
    result = run("init", "--path", "no/such/directory.toml")

    assert result.exit_code == 74
    assert result.stderr == (
        "broker: no/such/directory.toml cannot be written: No such file or directory\n"
    )


def test_check_says_what_runs(acme):
    result = run("check")

    assert result.exit_code == 0
    assert result.stdout.startswith("broker.toml: ok; storage memory; plugins acme 1.2")
    assert "kept in memory" in result.stderr


def test_check_prints_json(acme):
    Path("broker.toml").write_text(FILE + "[plugins.storage_sqlite]\n")

    found = json.loads(run("check", "--json").stdout)

    assert found["config"] == "broker.toml"
    assert found["storage"] == "memory"
    assert {"name": "acme", "version": "1.2"} in found["plugins"]
    assert found["warnings"][0] == (
        "plugins.storage_sqlite: the plugin is not enabled; add it to broker.plugins"
    )


def test_check_prints_every_problem_and_exits_78(acme):
    Path("broker.toml").rename("mine.toml")
    Path("mine.toml").write_text(FILE + 'pth = "x"\n[server]\nport = "http"\n')

    result = run("check", "--config", "mine.toml")

    assert result.exit_code == 78
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        "broker: mine.toml: 2 problems",
        'broker:   server.port: expected an integer from 0 to 65535; got "http"',
        'broker:   plugins.acme.pth: unknown key; did you mean "path"?',
    ]


@pytest.mark.parametrize("command", ["check", "show", "schema"])
def test_without_a_file_the_remedy_is_printed(command):
    result = run(command)

    assert result.exit_code == 78
    assert result.stderr == ('broker: broker.toml: no such file; "broker config init" writes one\n')


def test_show_prints_toml_with_defaults_and_without_secrets(acme):
    result = run("show")

    assert result.exit_code == 0
    shown = tomllib.loads(result.stdout)
    assert shown["server"]["port"] == 8777
    assert shown["plugins"] == {"acme": {"path": "broker.db", "password": "********"}}
    assert "hunter2" not in result.output


def test_show_prints_json(acme):
    shown = json.loads(run("show", "--json").stdout)

    assert shown["broker"]["storage"] is None
    assert shown["plugins"] == {"acme": {"path": "broker.db", "password": "********"}}


def test_schema_prints_a_json_schema_with_the_tables_of_the_plugins(acme):
    schema = json.loads(run("schema").stdout)

    assert schema["title"] == "broker.toml"
    assert list(schema["properties"]["plugins"]["properties"]) == ["acme"]


def test_importing_the_command_is_light():
    heavy = {"pydantic", "pydantic_settings", "quart", "hypercorn", "databases", "httpx", "rich"}
    code = f"import sys, broker.cli.config; print(*sorted({heavy} & set(sys.modules)))"

    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert result.stdout.strip() == ""
