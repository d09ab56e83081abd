"""Commands that plugins add: found in the config that they work with."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from broker.cli import cli

pytestmark = pytest.mark.usefixtures("clean_environment")

GREETER = """
    import click
    from pydantic import BaseModel

    from broker import BrokerError, hookimpl

    class Config(BaseModel):
        greeting: str = "hello"

    @hookimpl
    def config_schema():
        return Config

    @click.group()
    def talk():
        pass

    @talk.command()
    @click.argument("name")
    @click.option("--loud", is_flag=True)
    @click.pass_obj
    def greet(plugin, *, name, loud):
        text = f"{plugin.name}: {plugin.config.greeting} {name}, {plugin.data_dir}"
        click.echo(text.upper() if loud else text)

    @talk.command()
    def stumble():
        raise BrokerError("it is so")

    @hookimpl
    def register_commands(cli):
        cli.add_command(talk)
"""


def adding(name):
    """A plugin that adds one command."""
    return f"""
        from broker import hookimpl

        @hookimpl
        def register_commands(cli):
            @cli.command("{name}")
            def command():
                pass
    """


@pytest.fixture
def configure(tmp_path, monkeypatch):
    """Write a config that enables these plugins, in the current directory; return its path."""
    monkeypatch.chdir(tmp_path)

    def configure(*plugins, name="broker.toml", extra=""):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"[broker]\nplugins = {json.dumps(plugins)}\n{extra}")
        return path

    return configure


def run(*args, env=None):
    return CliRunner().invoke(cli, args, env=env, prog_name="broker")


def test_a_command_gets_the_context_of_its_plugin(install, configure, tmp_path):
    install("greeter", GREETER)
    configure("greeter", extra='[plugins.greeter]\ngreeting = "hi"\n')

    done = run("talk", "greet", "ann")

    assert (done.exit_code, done.stdout, done.stderr) == (0, f"greeter: hi ann, {tmp_path}\n", "")


@pytest.mark.parametrize(
    "args",
    [
        ["talk", "greet", "--loud", "--config", "other/its.toml", "ann"],
        ["talk", "greet", "ann", "--config=other/its.toml", "--loud"],
    ],
)
def test_the_config_is_the_one_that_the_command_names(install, configure, args):
    install("greeter", GREETER)
    configure()
    other = configure("greeter", name="other/its.toml", extra="[plugins.greeter]\n")

    assert run(*args).stdout == f"greeter: hello ann, {other.parent}\n".upper()


def test_the_config_may_come_from_the_environment(install, configure):
    install("greeter", GREETER)
    other = configure("greeter", name="other/its.toml")

    done = run("talk", "greet", "ann", env={"BROKER_CONFIG": str(other)})

    assert done.stdout == f"greeter: hello ann, {other.parent}\n"


def test_each_command_says_that_it_takes_a_config(install, configure):
    install("greeter", GREETER)
    configure("greeter")

    assert "--config PATH" in run("talk", "greet", "--help").stdout
    assert run("talk", "greet", "--help").stdout.count("--config") == 1
    assert "--config" not in run("talk", "--help").stdout


def test_what_a_command_raises_is_a_line_and_an_exit_code(install, configure):
    install("greeter", GREETER)
    configure("greeter")

    done = run("talk", "stumble")

    assert (done.exit_code, done.stdout, done.stderr) == (1, "", "broker: it is so\n")


def test_a_wrong_option_of_a_command_is_exit_code_2(install, configure):
    install("greeter", GREETER)
    configure("greeter")

    assert run("talk", "greet").exit_code == 2
    assert run("talk", "greet", "ann", "--config").exit_code == 2


def test_an_unknown_command_is_a_usage_error(install, configure):
    install("greeter", GREETER)
    configure("greeter")

    done = run("nonsense")

    assert done.exit_code == 2
    assert "No such command 'nonsense'" in done.stderr


def test_a_command_of_a_plugin_that_is_not_enabled_is_unknown(install, configure):
    install("greeter", GREETER)
    configure()

    assert run("talk", "greet", "ann").exit_code == 2


def test_without_a_config_it_is_said_why_a_command_is_unknown(configure):
    done = run("talk")

    assert done.exit_code == 2
    assert done.stderr.startswith(
        "broker: there is no broker.toml here, so commands of plugins are not known;"
        " name a config with --config or BROKER_CONFIG\n"
    )


def test_a_config_that_is_named_must_be_there(configure):
    done = run("talk", "--config", "none.toml")

    assert done.exit_code == 78
    assert done.stderr.startswith("broker: none.toml")
    assert len(done.stderr.splitlines()) == 1


def test_a_wrong_config_of_the_plugin_is_told_instead_of_its_command(install, configure):
    install("greeter", GREETER)
    configure("greeter", extra="[plugins.greeter]\ngreting = 1\n")

    done = run("talk", "greet", "ann")

    assert done.exit_code == 78
    assert done.stderr == (
        'broker: broker.toml: plugins.greeter.greting: unknown key; did you mean "greeting"?\n'
        'broker: no other plugin adds the command "talk"\n'
    )


def test_a_broken_plugin_does_not_hide_the_commands_of_others(install, configure):
    install("broken", "1 / 0")
    install("greeter", GREETER)
    configure("broken", "greeter")

    assert run("talk", "greet", "ann").exit_code == 0


def test_two_plugins_that_add_one_command_are_both_named(install, configure):
    install("one", adding("db"))
    install("two", adding("db"))
    configure("one", "two")

    done = run("db")

    assert done.exit_code == 78
    assert done.stderr == (
        'broker: plugins "one", "two" each add the command "db";'
        " remove all but one from broker.plugins\n"
    )


def test_the_plugins_are_listed_with_what_they_add(install, configure):
    install("greeter", GREETER)
    install("thief", adding("queue"))
    configure("greeter", "thief")

    found = {row["name"]: row for row in json.loads(run("plugins", "--json").stdout)}

    assert found["greeter"]["commands"] == ["talk"]
    assert found["rest"]["commands"] == []
    assert found["thief"]["commands"] == []
    assert found["thief"]["why_not"] == (
        'broken: plugin "thief": adds the command "queue", which the broker has itself; rename it'
    )


def test_a_command_of_the_core_never_asks_plugins(install, configure):
    install("canary", "1 / 0")
    configure("canary")

    assert run("config", "--help").exit_code == 0
    assert Path("broker.toml").exists()
