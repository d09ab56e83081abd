"""The group `broker` itself: what is imported, what an error looks like, how it exits."""

import json
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

import broker
from broker.cli import COMMANDS, cli
from broker.errors import (
    BrokerError,
    ConfigError,
    QueueNotFound,
    StorageLocked,
    StorageUnreadable,
    Unavailable,
)

HEAVY = {"pydantic", "quart", "hypercorn", "databases", "sqlalchemy", "httpx", "rich", "sqlite3"}


def modules_after(*args):
    """Return what is imported by running `broker` with these arguments."""
    program = (
        "import json, sys\n"
        "from broker.cli import main\n"
        "try:\n"
        "    main()\n"
        "finally:\n"
        "    print(json.dumps(sorted(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, *args], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stderr))


def test_help_imports_no_command_and_nothing_heavy():
    modules = modules_after("--help")

    assert modules & HEAVY == set()
    assert {name for name in modules if name.startswith("broker.cli.")} == set()


@pytest.mark.parametrize("command", ["publish", "consume", "queue"])
def test_help_of_a_command_that_speaks_http_imports_no_http(command):
    assert modules_after(command, "--help") & HEAVY == set()


def test_the_module_is_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "broker", "--version"], capture_output=True, text=True
    )

    assert (done.returncode, done.stdout) == (0, f"broker {broker.__version__}\n")


def test_help_lists_every_command_with_what_it_does():
    shown = CliRunner().invoke(cli, ["--help"], prog_name="broker").stdout

    for name, (_, _, summary) in COMMANDS.items():
        assert f"  {name:<9}{summary}\n" in shown


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_where_the_table_says(name):
    command = cli.get_command(click.Context(cli), name)

    assert isinstance(command, click.Command)
    assert command.name == name


def walk(command, path=()):
    if isinstance(command, click.Group):
        for name in command.list_commands(click.Context(command)):
            yield from walk(command.get_command(click.Context(command), name), (*path, name))
    else:
        yield " ".join(path), command


def test_every_command_explains_itself_with_an_example():
    lacking = [name for name, command in walk(cli) if "Example: broker " not in command.help]

    assert lacking == []


def test_every_command_can_answer_in_json():
    lacking = [
        name
        for name, command in walk(cli)
        if "--json" not in [option for parameter in command.params for option in parameter.opts]
    ]

    assert lacking == ["config schema"]  # which is nothing else than JSON


def test_everything_that_destroys_can_be_told_not_to_ask():
    asking = [
        name
        for name, command in walk(cli)
        if "--yes" in [option for parameter in command.params for option in parameter.opts]
    ]

    assert asking == ["queue delete", "queue purge"]


def fail_with(error, *, monkeypatch, args=()):
    @click.command()
    def failing():
        raise error

    monkeypatch.setattr("broker.cli.plugin_command", lambda name, args: (failing, None))
    return CliRunner().invoke(cli, [*args, "failing"], prog_name="broker")


@pytest.mark.parametrize(
    ("error", "exit_code", "shown"),
    [
        (BrokerError("it is so"), 1, "broker: it is so\n"),
        (QueueNotFound("q"), 3, 'broker: there is no queue "q"\n'),
        (Unavailable("not now"), 5, "broker: not now\n"),
        (StorageUnreadable("damaged"), 74, "broker: damaged\n"),
        (StorageLocked("taken"), 75, "broker: taken\n"),
        (ConfigError("a: wrong\nb: wrong"), 78, "broker: a: wrong\nbroker: b: wrong\n"),
        (OSError(28, "No space left"), 74, "broker: [Errno 28] No space left\n"),
        (KeyboardInterrupt(), 130, ""),
        (BrokenPipeError(32, "Broken pipe"), 0, ""),
    ],
)
def test_an_error_is_a_line_for_each_problem_and_an_exit_code(error, exit_code, shown, monkeypatch):
    done = fail_with(error, monkeypatch=monkeypatch)

    assert (done.exit_code, done.stderr, done.stdout) == (exit_code, shown, "")


def test_debug_shows_where_an_error_comes_from(monkeypatch):
    done = fail_with(Unavailable("not now"), monkeypatch=monkeypatch, args=["--debug"])

    assert done.exit_code == 5
    assert done.stderr.startswith("Traceback (most recent call last):")
    assert done.stderr.endswith("broker: not now\n")


def test_a_mistake_of_ours_is_not_dressed_up_as_an_error(monkeypatch):
    done = fail_with(ZeroDivisionError("oops"), monkeypatch=monkeypatch)

    assert isinstance(done.exception, ZeroDivisionError)


def test_a_wrong_option_is_exit_code_2():
    assert CliRunner().invoke(cli, ["--nonsense"]).exit_code == 2
