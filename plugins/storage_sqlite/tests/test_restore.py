"""Restoring: checked before anything changes, and nothing that was there is lost."""

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

import pytest

from broker import BrokerError, StorageLocked, StorageUnreadable
from broker.testing import ManualClock, Workbench
from broker_storage_sqlite.backup import back_up
from broker_storage_sqlite.connections import connect_reader
from broker_storage_sqlite.restore import restore
from broker_storage_sqlite.storage import SQLiteStorage
from broker_storage_sqlite.vacuum import vacuum


def bench_of(path: Path) -> Workbench:
    return Workbench(lambda: SQLiteStorage(path), ManualClock())


async def bodies(path: Path) -> list[bytes]:
    """What a broker finds in the store."""
    async with bench_of(path) as bench:
        return [message.body for message in (await bench.page(queue="q")).messages]


async def make(path: Path, *messages: bytes) -> Path:
    """Make a store with one queue that holds these messages."""
    async with bench_of(path) as bench:
        await bench.make_queue()
        for body in messages:
            await bench.put(body)
    return path


async def make_killed(path: Path, *messages: bytes) -> None:
    """Make a store as a killed broker leaves it: the messages are in its log only."""
    living = path.with_name("living.db")
    async with bench_of(living) as bench:
        await bench.make_queue()
        await bench.reopen()
        await bench.publish(*map(bench.message, messages))
        for suffix in ("", "-wal"):
            left = path.with_name(path.name + suffix)
            left.write_bytes(living.with_name(living.name + suffix).read_bytes())
            left.chmod(0o600)
    assert messages[-1][:6] in path.with_name(path.name + "-wal").read_bytes()
    assert messages[-1][:6] not in path.read_bytes()


def names(path: Path) -> list[str]:
    """The files of a store."""
    return sorted(file.name for file in path.parent.glob(f"{path.name}*"))


Saved = Callable[..., Awaitable[Path]]


@pytest.fixture
def saved(tmp_path: Path) -> Saved:
    async def saved(*messages: bytes) -> Path:
        """Make a backup that holds these messages."""
        source = await make(tmp_path / "source" / "broker.db", *messages)
        back_up(source, tmp_path / "backup.db")
        return tmp_path / "backup.db"

    return saved


async def test_a_backup_is_restored_where_nothing_was(path: Path, saved: Saved) -> None:
    backup = await saved(b"one", b"two")
    path = path.parent / "new" / "broker.db"
    restored = restore(path, backup)
    assert (restored.messages, restored.queues, restored.kept) == (2, 1, None)
    assert names(path) == ["broker.db", "broker.db.lock"]
    assert path.stat().st_mode & 0o777 == 0o600
    assert await bodies(path) == [b"one", b"two"]
    assert backup.exists()


async def test_a_store_with_queues_is_replaced_by_force_only_and_kept(
    path: Path, saved: Saved
) -> None:
    await make(path, b"old")
    backup = await saved(b"new")
    with pytest.raises(BrokerError, match="is a store with queues; --force replaces it"):
        restore(path, backup)
    assert await bodies(path) == [b"old"]
    kept = path.with_name("broker.db.before-restore-1")
    assert restore(path, backup, force=True).kept == str(kept)
    assert await bodies(path) == [b"new"]
    assert await bodies(kept) == [b"old"]
    assert restore(path, backup, force=True).kept == f"{path}.before-restore-2"
    assert await bodies(path.with_name("broker.db.before-restore-2")) == [b"new"]


async def test_a_store_without_queues_is_replaced_unasked(path: Path, saved: Saved) -> None:
    async with bench_of(path):
        pass
    restore(path, await saved(b"new"))
    assert await bodies(path) == [b"new"]


async def test_the_log_of_a_killed_broker_stays_with_its_store(path: Path, saved: Saved) -> None:
    await make_killed(path, b"in the log")
    restored = restore(path, await saved(b"new"), force=True)
    assert "broker.db-wal" not in names(path)
    assert await bodies(path) == [b"new"]
    assert restored.kept is not None
    assert await bodies(Path(restored.kept)) == [b"in the log"]


async def test_a_damaged_store_is_kept_with_its_log(path: Path, saved: Saved) -> None:
    await make_killed(path, b"in the log")
    log = path.with_name("broker.db-wal").read_bytes()
    path.write_bytes(b"no database at all" * 1000)
    restored = restore(path, await saved(b"new"), force=True)
    kept = path.with_name("broker.db.before-restore-1")
    assert restored.kept == str(kept)
    assert kept.read_bytes() == b"no database at all" * 1000
    assert kept.with_name(kept.name + "-wal").read_bytes() == log
    assert await bodies(path) == [b"new"]


@pytest.mark.parametrize("damage", ["truncated to nothing", "deleted"])
async def test_a_log_that_lost_its_store_is_kept(path: Path, saved: Saved, damage: str) -> None:
    await make_killed(path, b"in the log")
    log = path.with_name("broker.db-wal").read_bytes()
    path.unlink()
    if damage == "truncated to nothing":
        path.touch()
    backup = await saved(b"new")
    with pytest.raises(BrokerError, match="--force"):
        restore(path, backup)
    restore(path, backup, force=True)
    assert path.with_name("broker.db.before-restore-1-wal").read_bytes() == log
    assert await bodies(path) == [b"new"]


async def test_a_store_in_use_is_not_replaced(path: Path, saved: Saved) -> None:
    backup = await saved(b"new")
    async with bench_of(path) as bench:
        await bench.make_queue()
        with pytest.raises(StorageLocked, match="another broker uses this database"):
            restore(path, backup, force=True)


async def test_a_store_that_is_being_read_is_not_replaced(path: Path, saved: Saved) -> None:
    await make_killed(path, b"in the log")
    backup = await saved(b"new")
    with closing(connect_reader(path)) as sql:
        sql.execute("BEGIN")
        sql.execute("SELECT count(*) FROM messages").fetchone()
        with pytest.raises(StorageLocked, match=r"is being read by another program|is locked by"):
            restore(path, backup, force=True)
    assert await bodies(path) == [b"in the log"]


def damage_page(backup: Path) -> None:
    with backup.open("r+b") as file:
        file.seek(4096 * 3)
        file.write(b"\xff" * 4096)


def change(statement: str) -> Callable[[Path], None]:
    def change(backup: Path) -> None:
        with closing(sqlite3.connect(backup)) as sql, sql:
            sql.execute(statement)

    return change


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda backup: backup.unlink(), "{backup} is no file, or empty; choose another backup"),
        (
            lambda backup: backup.write_bytes(b"hello" * 1000),
            "{backup} cannot be read (file is not a database); choose another backup",
        ),
        (
            lambda backup: os.truncate(backup, 0),
            "{backup} is no file, or empty; choose another backup",
        ),
        (
            change("PRAGMA application_id = 7"),
            "{backup} is no store of this broker; choose another backup",
        ),
        (
            change("PRAGMA user_version = 99"),
            "{backup} has schema version 99, and this broker knows versions up to",
        ),
        (change("DROP INDEX messages_ready"), "{backup} lacks messages_ready; choose another"),
        (change("DELETE FROM store"), "{backup} lacks the row of store; choose another backup"),
        (damage_page, "{backup} is damaged ("),
        (lambda backup: os.truncate(backup, 40_960), "{backup} cannot be read ("),
    ],
)
async def test_what_is_no_sound_store_is_not_restored(
    path: Path, saved: Saved, damage: Callable[[Path], None], message: str
) -> None:
    await make(path, b"old")
    backup = await saved(b"new" * 10_000)
    damage(backup)
    with pytest.raises(StorageUnreadable) as refused:
        restore(path, backup, force=True)
    assert str(refused.value).startswith(message.format(backup=backup))
    assert names(path) == ["broker.db", "broker.db.lock"]
    assert await bodies(path) == [b"old"]


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm", "-journal", ".lock", ".partial", ".new"])
async def test_no_file_of_the_store_is_a_backup_of_it(
    path: Path, saved: Saved, suffix: str
) -> None:
    own = path.with_name(f"broker.db{suffix}")
    shutil.copyfile(await saved(b"new"), own)
    before = own.read_bytes()
    link = path.with_name("link")
    link.symlink_to(own)
    for backup in (own, link):
        with pytest.raises(BrokerError) as refused:
            restore(path, backup, force=True)
        assert str(refused.value) == f"{backup} is a file of the store itself; name a backup"
    assert own.read_bytes() == before


async def test_a_copy_of_a_killed_store_with_its_log_is_a_backup_too(
    path: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy" / "broker.db"
    copy.parent.mkdir()
    await make_killed(copy, b"in the log")
    restore(path, copy)
    assert await bodies(path) == [b"in the log"]


async def test_a_backup_with_the_log_of_a_later_time_is_not_restored(
    path: Path, tmp_path: Path
) -> None:
    source = await make(tmp_path / "source.db", b"in the backup")
    backup = tmp_path / "backup.db"
    shutil.copyfile(source, backup)
    async with bench_of(source) as bench:
        await bench.put_many(2)
    async with bench_of(source) as bench:
        await bench.put()
        shutil.copyfile(f"{source}-wal", f"{backup}-wal")
    with pytest.raises(StorageUnreadable, match=f"{backup}-wal does not belong to {backup}"):
        restore(path, backup)
    assert names(path) == ["broker.db.lock"]


async def test_a_backup_that_another_tool_made_gets_its_log_mode(
    path: Path, tmp_path: Path
) -> None:
    source = await make(tmp_path / "source.db", b"one")
    with closing(sqlite3.connect(source)) as sql:
        sql.execute("VACUUM INTO ?", (str(tmp_path / "backup.db"),))
    restore(path, tmp_path / "backup.db")
    with closing(sqlite3.connect(path)) as sql:
        assert sql.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert await bodies(path) == [b"one"]


async def test_the_lock_forgets_the_store_before_just_before_it_is_replaced(
    path: Path, saved: Saved, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make(path, b"old")
    lock = path.with_name("broker.db.lock")
    backup = await saved(b"new")
    synced: list[tuple[bytes, bool]] = []
    sync, inode = os.fsync, path.stat().st_ino

    def spy(descriptor: int) -> None:
        if os.path.samestat(os.fstat(descriptor), lock.stat()):
            synced.append((lock.read_bytes(), path.stat().st_ino == inode))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", spy)
    restore(path, backup, force=True)
    assert synced == [(b"", True)]


async def test_after_a_restore_that_was_refused_the_lock_remembers_the_store(
    path: Path, saved: Saved
) -> None:
    await make(path, b"old")
    lock = path.with_name("broker.db.lock")
    before, backup = lock.read_bytes(), await saved(b"new")
    with closing(connect_reader(path)) as sql:
        sql.execute("BEGIN")
        sql.execute("SELECT count(*) FROM messages").fetchone()
        with pytest.raises(StorageLocked):
            restore(path, backup, force=True)
    assert lock.read_bytes() == before != b""


async def test_the_store_before_is_not_taken_for_the_one_that_was_restored(
    path: Path, saved: Saved
) -> None:
    await make(path, b"old")
    back_up(path, path.with_name("backup.db"))
    async with bench_of(path) as bench:
        await bench.put_many(9)
    kept = restore(path, path.with_name("backup.db"), force=True).kept
    async with bench_of(path) as bench:
        await bench.put(b"since the restore")
    assert kept is not None
    shutil.copyfile(kept, path)
    with pytest.raises(StorageUnreadable, match="is not the store that was here before"):
        await bodies(path)


async def test_a_store_with_the_log_of_another_is_kept_as_it_is(path: Path, saved: Saved) -> None:
    await make_killed(path, b"not ours")
    await make(path.with_name("ours.db"), b"ours")
    shutil.copyfile(path.with_name("ours.db"), path)
    before = [file.read_bytes() for file in (path, path.with_name("broker.db-wal"))]
    kept = restore(path, await saved(b"new"), force=True).kept
    assert [Path(f"{kept}{suffix}").read_bytes() for suffix in ("", "-wal")] == before
    assert await bodies(path) == [b"new"]


# Kills the work at each of its steps: before the n-th operation on files that Python reports, or
# when a file that SQLite writes reaches a size. Each time in a child that begins with the store
# and the backup as they were, and leaves them in a directory of its own.
KILLER = """
import asyncio, os, resource, shutil, signal, sys
from pathlib import Path
from broker_storage_sqlite.backup import back_up
from broker_storage_sqlite.restore import restore
from broker_storage_sqlite.vacuum import vacuum

origin, results, work = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
EVENTS = {"open", "os.rename", "os.link", "os.remove", "os.truncate", "sqlite3.connect"}


def run(directory):
    path, backup = directory / "broker.db", directory / "backup.db"
    if work == "backup":
        back_up(path, backup, force=True)
    elif work == "restore":
        restore(path, backup, force=True)
    else:
        asyncio.run(vacuum(path))


def begin(name):
    shutil.copytree(origin, results / name)
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return None


def die_at_step(number):
    steps = 0

    def count(event, arguments):
        nonlocal steps
        if event in EVENTS and "broker.db" in str(arguments) or "backup.db" in str(arguments):
            steps += 1
            if steps == number:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)


def die_at_size(size):
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def work_or_die(name, prepare, argument):
    code = begin(name)
    if code is None:
        prepare(argument)
        run(results / name)
        os._exit(0)
    return code


for size in range(4096, 4096 * 80, 4096 * 25):
    assert work_or_die(f"size-{size}", die_at_size, size) == -signal.SIGXFSZ, size
number = 1
while work_or_die(f"step-{number}", die_at_step, number) == -signal.SIGKILL:
    number += 1
print(number - 1)
"""


def kill_at_every_step(tmp_path: Path, origin: Path, work: str) -> list[Path]:
    """Return the directories that killed workers left, and that of one that was not killed."""
    results = tmp_path / "results"
    results.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", KILLER, origin, results, work], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 10
    return sorted(results.iterdir())


OLD, NEW = (
    [b"old %d" % number + b"-" * 4000 for number in range(90)],
    [b"new %d" % number + b"-" * 4000 for number in range(90)],
)


async def prepare(origin: Path, saved: Saved) -> None:
    """Make a store as a killed broker left it, and a backup of another one."""
    origin.mkdir()
    await make_killed(origin / "broker.db", *OLD)
    for living in origin.glob("living*"):
        living.unlink()
    (await saved(*NEW)).rename(origin / "backup.db")


async def test_a_restore_that_is_killed_leaves_either_store_and_can_be_done_again(
    tmp_path: Path, saved: Saved
) -> None:
    origin = tmp_path / "origin"
    await prepare(origin, saved)
    left = set()
    for each in kill_at_every_step(tmp_path, origin, "restore"):
        left.add(tuple(await bodies(each / "broker.db")))
        restore(each / "broker.db", each / "backup.db", force=True)
        assert await bodies(each / "broker.db") == NEW
        kept = sorted(each.glob("*.before-restore-?"))
        assert await bodies(kept[0]) == OLD
        assert not kept[0].samefile(each / "broker.db")
        assert list(each.glob("*.partial*")) == []
    assert left == {tuple(OLD), tuple(NEW)}


async def test_a_restore_over_damage_that_is_killed_never_looks_empty(
    tmp_path: Path, saved: Saved
) -> None:
    origin = tmp_path / "origin"
    await prepare(origin, saved)
    (origin / "broker.db").write_bytes(b"damage" * 1000)
    log = (origin / "broker.db-wal").read_bytes()
    refused = 0
    for each in kill_at_every_step(tmp_path, origin, "restore"):
        start = shutil.copytree(each, tmp_path / "start" / each.name)
        try:
            assert await bodies(start / "broker.db") == NEW
        except StorageUnreadable:
            refused += 1
        restore(each / "broker.db", each / "backup.db", force=True)
        assert await bodies(each / "broker.db") == NEW
        assert log in [file.read_bytes() for file in each.glob("*.before-restore-?-wal")]
    assert refused


async def test_a_vacuum_that_is_killed_leaves_everything(tmp_path: Path, saved: Saved) -> None:
    origin = tmp_path / "origin"
    await prepare(origin, saved)
    for each in kill_at_every_step(tmp_path, origin, "vacuum"):
        assert await bodies(each / "broker.db") == OLD
    half_made = max(tmp_path.glob("results/*/*.partial"))
    await vacuum(half_made.with_suffix(""))
    assert await bodies(half_made.with_suffix("")) == OLD
    assert not half_made.exists()


async def test_a_backup_that_is_killed_leaves_the_backup_before_or_a_whole_one(
    tmp_path: Path, saved: Saved
) -> None:
    origin = tmp_path / "origin"
    await prepare(origin, saved)
    left = []
    for each in kill_at_every_step(tmp_path, origin, "backup"):
        assert await bodies(each / "broker.db") == OLD
        left.append(tuple(await bodies(each / "backup.db")))
    assert set(left) == {tuple(OLD), tuple(NEW)}
