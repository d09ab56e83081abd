"""`broker db`: what is printed, and with which code it ends."""

import asyncio
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from broker import Clock
from broker.cli import cli
from broker.testing import Workbench
from broker_storage_sqlite.commands import db
from broker_storage_sqlite.storage import SQLiteStorage

Run = Callable[..., Result]


@pytest.fixture
def run(path: Path) -> Run:
    """Run `broker db` with a config of which the store at `path` is part."""
    config = path.with_name("broker.toml")
    config.write_text('[broker]\nplugins = ["storage_sqlite"]\n')

    def run(*args: object) -> Result:
        words = ["db", *map(str, args), "--config", str(config)]
        return CliRunner().invoke(cli, words, prog_name="broker")

    return run


@pytest.fixture
def store(path: Path) -> Path:
    """A store with a processed, two failed and a pending message."""

    async def fill() -> None:
        async with Workbench(lambda: SQLiteStorage(path), Clock()) as bench:  # type: ignore[arg-type]  # it only asks for now()
            await bench.make_queue("mail")
            await bench.put_processed("mail")
            await bench.put_failed("mail")
            await bench.put_failed("mail", body=b"again")
            await bench.put(queue="mail")

    asyncio.run(fill())
    return path


def spoil(path: Path) -> None:
    with closing(sqlite3.connect(path)) as sql, sql:
        sql.execute("UPDATE queues SET failed = 5")


def test_a_sound_store_is_ok(run: Run, store: Path) -> None:
    done = run("check")
    assert (done.exit_code, done.stdout) == (0, f"{store}: ok; 4 messages in 1 queue\n")
    assert json.loads(run("check", "--json").stdout) == {
        "path": str(store),
        "messages": 4,
        "queues": 1,
        "findings": [],
        "ok": True,
        "repaired": [],
    }


def test_a_mistake_is_a_line_and_exit_code_1_until_it_is_repaired(run: Run, store: Path) -> None:
    spoil(store)
    line = "mail: counter failed is 5, but its messages make 2\n"
    assert (run("check").exit_code, run("check").stdout) == (1, line)
    told = json.loads(run("check", "--json").stdout)
    assert told["ok"] is False
    assert told["findings"] == [
        {"kind": "counter", "text": line[6:-1], "queue": "mail", "is_repairable": True}
    ]
    done = run("check", "--repair")
    assert done.exit_code == 0
    assert done.stdout == f"repaired: {line}{store}: ok; 4 messages in 1 queue\n"
    assert run("check").exit_code == 0


def test_a_backup_is_told_and_restored(run: Run, store: Path) -> None:
    backup = store.with_name("backup.db")
    done = run("backup", backup)
    assert done.exit_code == 0
    size = backup.stat().st_size
    assert done.stdout.startswith(f"{backup}: {size} bytes, 4 messages in 1 queue, ")
    assert run("backup", backup).exit_code == 1
    told = json.loads(run("backup", backup, "--force", "--json").stdout)
    assert (told["path"], told["bytes"], told["messages"]) == (str(backup), size, 4)

    assert run("restore", backup).exit_code == 1
    done = run("restore", backup, "--force")
    assert done.exit_code == 0
    assert done.stdout == (
        f"{store}: restored 4 messages in 1 queue\n"
        f"{store}.before-restore-1: what was there before\n"
    )
    told = json.loads(run("restore", backup, "--force", "--json").stdout)
    assert told == {
        "path": str(store),
        "messages": 4,
        "queues": 1,
        "kept": f"{store}.before-restore-2",
    }
    store.unlink()
    assert run("restore", backup).stdout == f"{store}: restored 4 messages in 1 queue\n"


def test_a_vacuum_is_told(run: Run, store: Path) -> None:
    size = store.stat().st_size
    done = run("vacuum")
    assert (done.exit_code, done.stdout) == (0, f"{store}: {size} bytes before, {size} after\n")
    assert json.loads(run("vacuum", "--json").stdout) == {
        "path": str(store),
        "before": size,
        "after": size,
    }


def test_cleaning_is_told_before_and_after(run: Run, store: Path) -> None:
    both = ("clean", "--processed", "--failed", "--older-than", "0s")
    done = run(*both, "--dry-run")
    assert done.exit_code == 0
    assert done.stdout == (
        "would remove 1 processed message of mail, 4 bytes\n"
        "would remove 2 failed messages of mail, 9 bytes\n"
    )
    assert run(*both, "--queue", "other.*").stdout == "there is nothing to remove\n"
    assert run("clean", "--failed", "--older-than", "1h").stdout == "there is nothing to remove\n"
    done = run("clean", "--failed", "--older-than", "0s", "--queue", "m*")
    assert done.stdout == "removed 2 failed messages of mail, 9 bytes\n"
    assert json.loads(run(*both, "--json").stdout) == [
        {"queue": "mail", "state": "processed", "messages": 1, "bytes": 4}
    ]
    assert run("check").stdout == f"{store}: ok; 1 message in 1 queue\n"


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        (("clean", "--failed"), "Missing option '--older-than'"),
        (("clean", "--failed", "--older-than", "soon"), "expected a duration, 45s, 12h or 7d"),
        (("clean", "--older-than", "7d"), "say what is to be removed: --processed, --failed or"),
        (("backup",), "Missing argument 'FILE'"),
    ],
)
def test_what_is_not_said_is_a_usage_error(
    run: Run, store: Path, args: tuple[str, ...], reason: str
) -> None:
    done = run(*args)
    assert done.exit_code == 2
    assert reason in done.stderr


@pytest.mark.parametrize(
    "args",
    [
        ("check", "--repair"),
        ("vacuum",),
        ("clean", "--failed", "--older-than", "7d"),
        ("restore", "{backup}", "--force"),
    ],
)
async def test_what_changes_a_store_in_use_is_exit_code_75(
    run: Run, store: Path, bench: Workbench, args: tuple[str, ...]
) -> None:
    backup = store.with_name("backup.db")
    await asyncio.to_thread(run, "backup", backup)
    async with bench:
        words = [word.format(backup=backup) for word in args]
        done = await asyncio.to_thread(run, *words)
    assert (done.exit_code, done.stdout) == (75, "")
    assert done.stderr.startswith("broker: ")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("args", [("check",), ("backup", "x.db"), ("vacuum",)])
def test_without_a_store_it_is_exit_code_74(run: Run, path: Path, args: tuple[str, ...]) -> None:
    done = run(*args)
    assert done.exit_code == 74
    assert done.stderr == (
        f"broker: {path} is not there; restore a backup, start the broker, or set"
        " plugins.storage_sqlite.path to another file\n"
    )


def test_a_wrong_config_is_exit_code_78(run: Run, path: Path) -> None:
    config = path.with_name("broker.toml")
    config.write_text(config.read_text() + "[plugins.storage_sqlite]\npth = 1\n")
    done = run("check")
    assert done.exit_code == 78
    assert 'plugins.storage_sqlite.pth: unknown key; did you mean "path"?' in done.stderr


@pytest.mark.parametrize("name", db.commands)
def test_every_command_explains_itself_with_an_example_and_answers_in_json(name: str) -> None:
    command = db.commands[name]
    assert isinstance(command, click.Command)
    assert f"Example: broker db {name}" in (command.help or "")
    assert "--json" in [option for parameter in command.params for option in parameter.opts]
