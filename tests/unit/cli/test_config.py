"""`broker config`."""

import json
import stat
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest
from broker_ratelimit.config import RateLimitConfig
from click.testing import CliRunner
from pages import blocks

from broker import ACTIVITIES
from broker.cli import cli
from broker.config import read_config
from broker.discovery import discover

FIRST_PLUGINS = ("storage_sqlite", "auth_jwt", "ratelimit", "sse", "graphql")
BUILT_IN = {"rest", "log", "openapi", "memory", "scopes"}

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
disable = ["rest", "log", "openapi"]
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


with_every_plugin = pytest.mark.skipif(
    find_spec("broker_graphql") is None, reason="the plugin graphql is not installed"
)


def run(*arguments):
    return CliRunner().invoke(cli, ["config", *arguments])


@with_every_plugin
def test_init_writes_a_file_for_the_owner_only_that_can_be_read():
    result = run("init")

    assert result.exit_code == 0
    assert result.stdout == "wrote broker.toml; start the broker with: broker serve\n"
    assert stat.S_IMODE(Path("broker.toml").stat().st_mode) == 0o600
    config = read_config()
    assert config.broker.plugins == FIRST_PLUGINS
    assert not config.broker.anonymous
    assert config.server.host == "127.0.0.1"
    assert config.plugins == {
        "storage_sqlite": {"path": "broker.db"},
        "auth_jwt": {"database": "auth.db"},
        "ratelimit": {},
        "sse": {},
        "graphql": {},
    }
    assert config.warnings == ()
    assert result.stderr == ""
    assert run("check").exit_code == 0


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


@with_every_plugin
def test_init_overwrites_when_it_is_forced():
    Path("broker.toml").write_text("mine" * 1000)
    Path("broker.toml").chmod(0o644)

    assert run("init", "--force").exit_code == 0

    assert read_config().broker.plugins == FIRST_PLUGINS
    assert stat.S_IMODE(Path("broker.toml").stat().st_mode) == 0o600


def test_init_says_what_keeps_it_from_writing():
    result = run("init", "--path", "no/such/directory.toml")

    assert result.exit_code == 74
    assert result.stderr == (
        "broker: no/such/directory.toml cannot be written: No such file or directory\n"
    )


def test_the_example_limits_everything():
    assert run("init", "--example").exit_code == 0

    limits = read_config().plugins["ratelimit"]["limits"]
    assert {name: limit["rate"] for name, limit in limits.items()} == {
        "login": "10/minute",
        "general": "200/minute",
        "publish": "200/second",
        "consume": "200/second",
        "settle": "200/second",
    }
    limited = [activity for limit in limits.values() for activity in limit["activities"]]
    assert sorted(limited) == sorted(ACTIVITIES)
    assert run("check").exit_code == 0


@pytest.mark.parametrize("page", ["docs/operations.md", "plugins/ratelimit/README.md"])
def test_the_example_is_the_profile_that_the_docs_show(page):
    text = (Path(__file__).parents[3] / page).read_text()
    run("init", "--example")
    written = tomllib.loads(Path("broker.toml").read_text())["plugins"]["ratelimit"]

    for shown in blocks(text, "toml"):
        if "200/minute" in shown:
            assert tomllib.loads(shown)["plugins"]["ratelimit"] == written


def test_a_limit_of_logins_that_the_example_names_is_the_one_that_is_there_anyway():
    run("init", "--example")
    named = RateLimitConfig(**read_config().plugins["ratelimit"]).all_limits["login"]

    assert named == RateLimitConfig().all_limits["login"]


@pytest.fixture
def core_alone(monkeypatch):
    """Nothing is installed but what is built in."""
    found = {name: records for name, records in discover().items() if name in BUILT_IN}
    monkeypatch.setattr("broker.discovery.discover", lambda: found)


def test_init_leaves_out_what_is_not_installed(core_alone):
    result = run("init")

    assert result.exit_code == 0
    assert result.stderr.splitlines() == [
        "left out storage_sqlite, which is not installed: pip install replika-broker-storage-sqlite",
        "left out auth_jwt, which is not installed: pip install replika-broker-auth-jwt",
        "left out ratelimit, which is not installed: pip install replika-broker-ratelimit",
        "left out sse, which is not installed: pip install replika-broker-sse",
        "left out graphql, which is not installed: pip install replika-broker-graphql, "
        "with cmake and a C++ compiler at hand",
    ]
    assert "# Not installed: auth_jwt (pip install replika-broker-auth-jwt).\n" in (
        Path("broker.toml").read_text()
    )
    assert read_config().broker.plugins == ()
    assert read_config().plugins == {}
    assert run("check").exit_code == 0


def test_there_is_no_example_without_the_plugin_that_limits(core_alone):
    result = run("init", "--example")

    assert result.exit_code == 1
    assert result.stderr == (
        "broker: ratelimit, which limits, is not installed: pip install replika-broker-ratelimit\n"
    )
    assert not Path("broker.toml").exists()


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
