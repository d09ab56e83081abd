"""Opening: what is refused, and with which words; what is made, and with which modes."""

import asyncio
import itertools
import os
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from broker import QueueSpec, StorageLocked, StorageUnreadable
from broker.testing import Workbench
from broker_storage_sqlite import opening
from broker_storage_sqlite.schema import Migration
from broker_storage_sqlite.storage import SQLiteStorage

RESTORE = "restore a backup, or move it and its .lock file away to begin with an empty store"
ELSEWHERE = "set plugins.storage_sqlite.path to another file"
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


async def make(path: Path) -> None:
    storage = SQLiteStorage(path)
    await storage.open()
    await storage.put_queue(QueueSpec("q"), expect=None, now=0)
    await storage.close()


def empty_the_table_store(path: Path) -> None:
    with closing(sqlite3.connect(path)) as sql, sql:
        sql.execute("DELETE FROM store")


def threads_end() -> None:
    """Assert that no thread but this one goes on."""
    for thread in set(threading.enumerate()) - {threading.main_thread()}:
        thread.join(10)
    assert threading.active_count() == 1


async def refusal(path: Path) -> str:
    """Return the message with which a storage is refused; it left nothing open."""
    with pytest.raises(StorageUnreadable) as refused:
        await SQLiteStorage(path).open()
    threads_end()
    lines = str(refused.value)
    assert "\n" not in lines
    return lines


def pragma(path: Path, setting: str) -> None:
    with closing(sqlite3.connect(path)) as sql, sql:
        sql.execute(f"PRAGMA {setting}")


def overwrite_page(path: Path, page: int) -> None:
    with path.open("r+b") as file:
        file.seek(4096 * (page - 1))
        file.write(b"\xff" * 4096)


REFUSALS: list[tuple[str, Callable[[Path], object], str]] = [
    (
        "not a database",
        lambda path: path.write_bytes(b"hello, world, this is no database" * 100),
        f"{{path}} is not a database; {RESTORE}, or {ELSEWHERE}",
    ),
    (
        "a database of another program",
        lambda path: pragma(path, "application_id = 7"),
        f"{{path}} is a database of another program; {ELSEWHERE}",
    ),
    (
        "a newer schema",
        lambda path: pragma(path, "user_version = 7"),
        "{path} has schema version 7, and this broker knows versions up to 2; use the newer"
        " broker that wrote it, or restore a backup from before its upgrade",
    ),
    (
        "an empty file",
        lambda path: os.truncate(path, 0),
        f"{{path}} is empty, which no database is; {RESTORE}",
    ),
    (
        "a log without its database",
        lambda path: (path.with_name("broker.db-wal").touch(), path.unlink()),
        "{path} is missing, but {path}-wal is there: bring the file back that belongs to it,"
        " or move it away to begin with an empty store",
    ),
    (
        "half a file",
        lambda path: os.truncate(path, 8192),
        f"{{path}} cannot be opened (database disk image is malformed); {RESTORE}",
    ),
    (
        "a store that does not say whose it is",
        empty_the_table_store,
        f"{{path}} is damaged (its table store lacks its row); {RESTORE}",
    ),
    (
        "the same, when no lock file remembers it",
        lambda path: (empty_the_table_store(path), path.with_name("broker.db.lock").unlink()),
        f"{{path}} is damaged (its table store lacks its row); {RESTORE}",
    ),
    (
        "a directory",
        lambda path: (path.unlink(), path.mkdir()),
        "{path} cannot be used (Is a directory); give the broker's user access to {directory},"
        f" or {ELSEWHERE}",
    ),
]


@pytest.mark.parametrize(
    ("damage", "message"), [row[1:] for row in REFUSALS], ids=[row[0] for row in REFUSALS]
)
async def test_what_cannot_be_trusted_is_refused_in_one_line(
    path: Path, damage: Callable[[Path], object], message: str
) -> None:
    await make(path)
    damage(path)
    assert await refusal(path) == message.format(path=path, directory=path.parent)


async def test_a_damaged_page_is_refused_in_the_words_of_sqlite(path: Path) -> None:
    await make(path)
    overwrite_page(path, 4)
    message = await refusal(path)
    assert message.startswith(f"{path} is damaged (*** in database main *** ")
    assert message.endswith(f"); {RESTORE}")


async def test_an_index_that_hides_something_is_refused(path: Path) -> None:
    await make(path)
    with closing(sqlite3.connect(path)) as sql, sql:
        sql.execute("PRAGMA writable_schema = ON")
        index = sql.execute(
            "SELECT * FROM sqlite_master WHERE name = 'dedup_expires_at'"
        ).fetchone()
        sql.execute("DELETE FROM sqlite_master WHERE name = 'dedup_expires_at'")
    with closing(sqlite3.connect(path)) as sql, sql:
        sql.execute("INSERT INTO dedup VALUES (1, 'key', 1, 1)")
        sql.execute("PRAGMA writable_schema = ON")
        sql.execute("INSERT INTO sqlite_master VALUES (?, ?, ?, ?, ?)", index)
    problem = "row 1 missing from index dedup_expires_at"
    assert await refusal(path) == f"{path} is damaged ({problem}); {RESTORE}"


async def test_a_refused_file_is_left_as_it_is(path: Path) -> None:
    path.write_bytes(b"precious, and no database")
    await refusal(path)
    assert path.read_bytes() == b"precious, and no database"


async def test_a_directory_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "broker.db"
    assert await refusal(path) == (
        f"{tmp_path}/file cannot be used (File exists); give the broker's user access to"
        f" {tmp_path}/file, or {ELSEWHERE}"
    )


async def test_a_file_that_may_not_be_written_is_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make(path)

    really_open = Path.open

    # Tests may run as root, whom no mode stops.
    def refuse(self: Path, mode: str = "r", **options: object) -> object:
        if self == path and mode == "r+b":
            raise PermissionError(13, "Permission denied", str(self))
        return really_open(self, mode, **options)  # type: ignore[call-overload]  # a stand-in for Path.open

    monkeypatch.setattr(Path, "open", refuse)
    assert await refusal(path) == (
        f"{path} cannot be used (Permission denied); give the broker's user access to"
        f" {path.parent}, or {ELSEWHERE}"
    )


async def test_an_sqlite_that_is_too_old_is_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "_OLDEST_SQLITE", (99, 0))
    assert await refusal(path) == (
        f"SQLite {sqlite3.sqlite_version} is too old for {path}; use a Python that brings"
        " SQLite 3.38 or newer"
    )


async def test_a_second_storage_on_the_same_file_is_refused(path: Path, bench: Workbench) -> None:
    async with bench:
        with pytest.raises(StorageLocked) as refused:
            await bench.another().open()
        assert str(refused.value) == (
            f"{path}.lock is locked: another broker uses this database; stop it, or {ELSEWHERE}"
        )
        await bench.make_queue()  # the first one goes on


async def test_another_name_of_the_same_file_is_refused_too(
    path: Path, bench: Workbench, tmp_path: Path
) -> None:
    async with bench:
        (tmp_path / "alias.db").symlink_to(path)
        with pytest.raises(StorageLocked):
            await SQLiteStorage(tmp_path / "alias.db").open()


HOLD = """
import asyncio, pathlib, sys
from broker_storage_sqlite.storage import SQLiteStorage

async def main():
    storage = SQLiteStorage(pathlib.Path(sys.argv[1]))
    await storage.open()
    print("open", flush=True)
    sys.stdin.read()
    import os, signal
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


async def test_the_lock_of_a_killed_process_is_lifted(path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert await asyncio.to_thread(process.stdout.readline) == b"open\n"
        with pytest.raises(StorageLocked):
            await SQLiteStorage(path).open()
        process.communicate()
    await make(path)


async def test_a_file_that_another_program_locked_is_refused_as_locked(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make(path)
    monkeypatch.setattr("broker_storage_sqlite.connections._BUSY_TIMEOUT_S", 0.0)
    with closing(sqlite3.connect(path)) as sql, sql:
        sql.execute("PRAGMA locking_mode = EXCLUSIVE")
        sql.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StorageLocked) as refused:
            await SQLiteStorage(path).open()
    assert str(refused.value) == f"{path} is locked by another program; close it, or {ELSEWHERE}"


async def test_a_file_that_another_program_is_writing_to_is_refused_as_locked(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make(path)
    monkeypatch.setattr("broker_storage_sqlite.connections._BUSY_TIMEOUT_S", 0.0)
    with closing(sqlite3.connect(path)) as sql, sql:
        sql.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageLocked) as refused:
            await SQLiteStorage(path).open()
    assert str(refused.value) == f"{path} is locked by another program; close it, or {ELSEWHERE}"


@pytest.mark.parametrize(
    ("drop", "missing"),
    [
        ("TABLE dedup", "dedup, dedup_expires_at"),
        ("INDEX messages_ready", "messages_ready"),
    ],
)
async def test_a_store_without_a_table_or_an_index_is_refused(
    path: Path, drop: str, missing: str
) -> None:
    await make(path)
    with closing(sqlite3.connect(path)) as sql, sql:
        sql.execute(f"DROP {drop}")
    assert await refusal(path) == f"{path} lacks {missing}; {RESTORE}"


async def test_everything_that_is_made_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "broker.db"
    storage = SQLiteStorage(path)
    await storage.open()
    await storage.put_queue(QueueSpec("q"), expect=None, now=0)
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    await storage.close()
    assert modes == dict.fromkeys(
        ("broker.db", "broker.db-wal", "broker.db-shm", "broker.db.lock"), 0o600
    )
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


async def test_directories_that_are_made_survive_a_power_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_ino))
    path = tmp_path / "deep" / "er" / "broker.db"
    await make(path)
    assert synced == [folder.stat().st_ino for folder in (tmp_path, tmp_path / "deep", path.parent)]


async def test_what_a_crash_left_of_a_first_start_is_cleared_away(path: Path) -> None:
    path.with_name("broker.db.new").write_bytes(b"half")
    await make(path)
    assert sorted(file.name for file in path.parent.iterdir()) == ["broker.db", "broker.db.lock"]


async def test_a_path_may_hold_any_characters(tmp_path: Path) -> None:
    path = tmp_path / "100% ?mode=ro#é;x&y" / "a b.db"
    bench = Workbench(lambda: SQLiteStorage(path), None)  # type: ignore[arg-type]  # as a test may give it
    async with bench:
        await bench.storage.put_queue(QueueSpec("q"), expect=None, now=0)
        [status] = await bench.storage.get_queues(now=0)
        assert status.queue.name == "q"
    assert path.is_file()


@pytest.mark.parametrize(("durability", "synchronous"), [("full", 2), ("os", 1)])
async def test_the_writer_has_the_settings_that_were_decided(
    path: Path, durability: str, synchronous: int
) -> None:
    expected = {
        "journal_mode": "wal",
        "synchronous": synchronous,
        "busy_timeout": 5000,
        "journal_size_limit": 64 * 1024 * 1024,
        "auto_vacuum": 2,
        "foreign_keys": 1,
        "trusted_schema": 0,
        "temp_store": 2,
    }
    storage = SQLiteStorage(path, durability=durability)  # type: ignore[arg-type]  # as a test may give it
    await storage.open()
    try:
        found = await storage._writer.run(
            lambda tx: {name: tx.execute(f"PRAGMA {name}").fetchone()[0] for name in expected}
        )
    finally:
        await storage.close()
    assert found == expected


async def test_every_table_is_strict(path: Path, bench: Workbench) -> None:
    async with bench:
        pass
    with closing(sqlite3.connect(path)) as sql, sql:
        tables = sql.execute("PRAGMA table_list").fetchall()
    ours = {name: strict for _, name, *_, strict in tables if not name.startswith("sqlite_")}
    assert ours == {"queues": 1, "messages": 1, "dedup": 1, "store": 1}


def is_open(sql: sqlite3.Connection) -> bool:
    try:
        sql.total_changes  # noqa: B018  # asks also from another thread
    except sqlite3.ProgrammingError:
        return False
    return True


@pytest.mark.parametrize("is_there", [True, False])
async def test_opening_that_is_cut_short_while_it_connects_leaves_nothing_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_there: bool
) -> None:
    loop = asyncio.get_running_loop()
    connect = sqlite3.connect
    connections: list[sqlite3.Connection] = []

    async def is_cut_short(path: Path, number: int) -> bool:
        """Open a storage, cancel that when it makes its nth connection; tell if it ever did."""

        def connect_and_cancel(*arguments: Any, **options: Any) -> sqlite3.Connection:
            connections.append(connect(*arguments, **options))
            if len(connections) == number:
                loop.call_soon_threadsafe(opening_task.cancel)
            return connections[-1]

        storage = SQLiteStorage(path)
        connections.clear()
        with monkeypatch.context() as patched:
            patched.setattr(sqlite3, "connect", connect_and_cancel)
            opening_task = asyncio.ensure_future(storage.open())
            await asyncio.wait([opening_task])
        if not opening_task.cancelled():
            await storage.close()
        return opening_task.cancelled()

    for number in itertools.count(1):
        path = tmp_path / f"{number}.db"
        if is_there:
            await make(path)
        if not await is_cut_short(path, number):
            break
        threads_end()
        assert not any(map(is_open, connections))
        await make(path)
    assert number > 3, "whoever prepares, the writer and the reader connect"


async def test_a_migration_is_cut_short_too(path: Path) -> None:
    endless = Migration(1, "0001_endless.sql", f"CREATE TABLE t AS {ENDLESS};")
    preparing = asyncio.ensure_future(opening.prepare_file(path, [endless]))
    while not path.with_name("broker.db.new-wal").exists():
        await asyncio.sleep(0)
    preparing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await preparing
    threads_end()


async def test_closing_that_is_cut_short_still_closes(path: Path) -> None:
    storage = SQLiteStorage(path)
    await storage.open()
    closing = asyncio.ensure_future(storage.close())
    await asyncio.sleep(0)
    closing.cancel()
    await storage.close()
    assert closing.cancelled()
    await make(path)


async def test_a_storage_may_be_opened_again_after_it_was_closed(path: Path) -> None:
    storage = SQLiteStorage(path)
    for _ in range(2):
        await storage.open()
        await storage.put_queue(QueueSpec("q"), expect=None, now=0)
        await storage.close()
