"""A database, its log and its lock file belong together; what does not is refused, not believed."""

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from lives import Life, beside, take

from broker import MessageQuery, StorageUnreadable
from broker_storage_sqlite import witness
from broker_storage_sqlite.config import Durability
from broker_storage_sqlite.lock import FileLock
from broker_storage_sqlite.storage import SQLiteStorage

EVERY = MessageQuery(queue="q", limit=1000)


async def live(
    directory: Path, path: Path, *bodies: bytes, durability: Durability = "full"
) -> None:
    """Publish, and be killed; two of the commits are in the file, the others in the log."""
    async with Life(directory, durability=durability) as life:
        await life.publish(b"first")
        life.checkpoint()
        await life.publish(*bodies)
        life.end(path)


async def bodies_in(path: Path) -> list[bytes]:
    storage = SQLiteStorage(path)
    await storage.open()
    page = await storage.browse(EVERY, now=0)
    await storage.close()
    return [message.body for message in page.messages]


async def refusal(path: Path) -> str:
    before = {suffix: beside(path, suffix).read_bytes() for suffix in ("", ".lock")}
    with pytest.raises(StorageUnreadable) as refused:
        await SQLiteStorage(path).open()
    assert {suffix: beside(path, suffix).read_bytes() for suffix in before} == before
    assert "\n" not in str(refused.value)
    return str(refused.value)


def behind(path: Path, found: int, remembered: int) -> str:
    return (
        f"{path} lacks what was answered last: it has seen {found} commits, and {path}.lock"
        f" remembers {remembered}; its log was deleted, cut or exchanged, or an older copy put in"
        f" its place: bring back what belongs to it, or remove {path}.lock to go on with what is"
        " there"
    )


def foreign(path: Path) -> str:
    return (
        f"{path}-wal does not belong to {path}: one of them was exchanged; bring back those that"
        f" belong together, or move {path}-wal away to see what is in {path} alone"
    )


async def test_what_a_killed_broker_left_is_all_there(path: Path, tmp_path: Path) -> None:
    await live(tmp_path / "a", path, b"second", b"third")
    assert beside(path, "-wal").stat().st_size > 0
    assert await bodies_in(path) == [b"first", b"second", b"third"]
    assert await bodies_in(path) == [b"first", b"second", b"third"]


def cut_off_a_page(log: Path) -> None:
    with log.open("r+b") as file:
        file.truncate(log.stat().st_size - 4096)


def flip_the_first_salt(log: Path) -> None:
    with log.open("r+b") as file:
        file.seek(16)
        [byte] = file.read(1)
        file.seek(16)
        file.write(bytes([byte ^ 1]))


@pytest.mark.parametrize(
    ("damage", "found"),
    [(Path.unlink, 2), (lambda log: log.write_bytes(b""), 2), (flip_the_first_salt, 2),
     (cut_off_a_page, 3)],
    ids=["deleted", "emptied", "one bit", "cut"],
)  # fmt: skip
async def test_a_log_that_is_lost_is_refused(
    path: Path, tmp_path: Path, damage: Callable[[Path], object], found: int
) -> None:
    await live(tmp_path / "a", path, b"second", b"third")
    damage(beside(path, "-wal"))
    assert await refusal(path) == behind(path, found, 4)
    assert await refusal(path) == behind(path, found, 4)


async def test_the_log_of_another_store_is_refused(path: Path, tmp_path: Path) -> None:
    await live(tmp_path / "other", tmp_path / "other.db", b"not ours")
    await live(tmp_path / "a", path, b"second")
    log = beside(path, "-wal")
    shutil.copyfile(tmp_path / "other.db-wal", log)
    assert await refusal(path) == foreign(path)
    assert log.read_bytes() == (tmp_path / "other.db-wal").read_bytes()


async def test_an_older_log_of_the_same_store_is_refused(path: Path, tmp_path: Path) -> None:
    async with Life(tmp_path / "a") as life:
        await life.publish(b"first")
        life.end(tmp_path / "older.db")
        await life.publish(b"second")
        life.checkpoint()
        await life.publish(b"third")
        life.end(path)
    shutil.copyfile(tmp_path / "older.db-wal", beside(path, "-wal"))
    assert await refusal(path) == foreign(path)


async def test_an_older_copy_beside_the_newer_log_is_refused(path: Path, tmp_path: Path) -> None:
    async with Life(tmp_path / "a") as life:
        life.checkpoint()
        life.end(tmp_path / "older.db")
        await life.publish(b"first")
        life.checkpoint()
        await life.publish(b"second")
        life.end(path)
    shutil.copyfile(tmp_path / "older.db", path)
    assert await refusal(path) == foreign(path)
    beside(path, ".lock").unlink()
    with pytest.raises(StorageUnreadable, match="does not belong"):
        await SQLiteStorage(path).open()


async def test_an_older_copy_without_a_log_is_refused(path: Path, tmp_path: Path) -> None:
    async with Life(tmp_path / "a") as life:
        life.end(tmp_path / "older.db")
        await life.publish(b"first")
        life.end(path)
    shutil.copyfile(tmp_path / "older.db", path)
    shutil.copyfile(tmp_path / "older.db-wal", beside(path, "-wal"))
    assert await refusal(path) == behind(path, 1, 2)


async def test_another_store_in_the_place_of_this_one_is_refused(
    path: Path, tmp_path: Path
) -> None:
    await live(tmp_path / "other", tmp_path / "other.db", *[b"not ours"] * 5)
    await live(tmp_path / "a", path)
    for suffix in ("", "-wal"):
        shutil.copyfile(beside(tmp_path / "other.db", suffix), beside(path, suffix))
    assert await refusal(path) == (
        f"{path} is not the store that was here before: it was exchanged; bring that one back, or,"
        f" if it was meant, remove {path}.lock"
    )


async def test_a_database_that_is_gone_is_refused(path: Path, tmp_path: Path) -> None:
    await live(tmp_path / "a", path)
    path.unlink()
    beside(path, "-wal").unlink(missing_ok=True)
    with pytest.raises(StorageUnreadable) as refused:
        await SQLiteStorage(path).open()
    assert str(refused.value) == (
        f"{path} is missing, but {path}.lock remembers a store with 2 commits: bring it back, or"
        f" remove {path}.lock to begin with an empty store"
    )
    beside(path, ".lock").unlink()
    assert await bodies_in(path) == []


async def test_a_database_that_never_held_anything_may_go(path: Path) -> None:
    for _ in range(2):
        storage = SQLiteStorage(path)
        await storage.open()
        await storage.close()
        path.unlink()


@pytest.mark.parametrize("remedy", ["the file is removed", "it is told to forget"])
async def test_without_its_note_what_is_there_is_taken(
    path: Path, tmp_path: Path, remedy: str
) -> None:
    await live(tmp_path / "a", path, b"second", b"third")
    beside(path, "-wal").unlink()
    if remedy == "the file is removed":
        beside(path, ".lock").unlink()
    else:
        lock = FileLock(path)
        lock.acquire()
        lock.forget()
        lock.release()
    assert await bodies_in(path) == [b"first"]


@pytest.mark.parametrize(
    "garble",
    [
        lambda note: note[:40],
        lambda note: bytes(len(note)),
        lambda note: note.replace(b"full", b"fool"),
        lambda note: note[::-1],
        lambda _: b"00000000 \n",
        lambda _: b"not a note",
    ],
)
async def test_a_note_that_is_not_whole_proves_nothing(
    path: Path, tmp_path: Path, garble: Callable[[bytes], bytes]
) -> None:
    await live(tmp_path / "a", path, b"second")
    lock = beside(path, ".lock")
    lock.write_bytes(garble(lock.read_bytes()))
    assert await bodies_in(path) == [b"first", b"second"]


async def test_a_note_that_is_behind_proves_nothing(path: Path, tmp_path: Path) -> None:
    async with Life(tmp_path / "a") as life:
        await life.publish(b"first")
        note = beside(life.path, ".lock").read_bytes()
        await life.publish(b"second")
        life.end(path)
    beside(path, ".lock").write_bytes(note)
    assert await bodies_in(path) == [b"first", b"second"]


async def test_what_another_program_wrote_into_the_file_is_not_missed(
    path: Path, tmp_path: Path
) -> None:
    await live(tmp_path / "a", path, b"second")
    with closing(sqlite3.connect(path)) as sql:
        sql.execute("SELECT count(*) FROM messages").fetchall()
    assert not beside(path, "-wal").exists()
    assert await bodies_in(path) == [b"first", b"second"]


async def test_a_log_that_moves_every_page_is_no_other_log(path: Path, tmp_path: Path) -> None:
    await live(tmp_path / "a", tmp_path / "left.db", b"second")
    with closing(sqlite3.connect(tmp_path / "left.db")) as sql:
        sql.execute("DELETE FROM messages")
        sql.commit()
        sql.execute("VACUUM")
        take(tmp_path / "left.db", path)
    assert await bodies_in(path) == []


async def test_a_power_cut_may_take_the_last_commits_with_durability_os(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await live(tmp_path / "a", path, b"second", durability="os")
    beside(path, "-wal").unlink()
    assert await refusal(path) == behind(path, 2, 3)
    monkeypatch.setattr(witness, "boot_id", lambda: "another")
    assert await bodies_in(path) == [b"first"]


async def test_where_no_start_of_the_machine_is_told_it_may_have_been_a_power_cut(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(witness, "_BOOT_ID", tmp_path / "nothing")
    await live(tmp_path / "a", path, b"second", durability="os")
    beside(path, "-wal").unlink()
    assert await bodies_in(path) == [b"first"]


async def test_a_store_that_was_just_upgraded_may_be_killed(path: Path, tmp_path: Path) -> None:
    await live(tmp_path / "a", tmp_path / "old.db")
    with closing(sqlite3.connect(tmp_path / "old.db")) as sql:
        sql.executescript("DROP TABLE store; PRAGMA user_version = 1;")
        sql.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        sql.executescript(
            (Path(witness.__file__).parent / "migrations" / "0002_store.sql").read_text()
            + "PRAGMA user_version = 2;"
        )
        take(tmp_path / "old.db", path)
    beside(path, ".lock").unlink(missing_ok=True)
    assert await bodies_in(path) == [b"first"]


async def test_only_what_changes_something_is_counted(tmp_path: Path) -> None:
    def commits(life: Life) -> int:
        found = witness.read_witness(beside(life.path, ".lock").read_bytes())
        assert found is not None
        return found.stamp.commits

    async with Life(tmp_path / "a") as life:
        counted = [commits(life)]
        for _ in range(2):
            await life.publish(b"one")
            counted.append(commits(life))
        await life.storage.maintain(now=0, limit=10)
        await life.storage.drop_queue("nothing")
        counted.append(commits(life))
    assert counted == [1, 2, 3, 3]


async def test_the_note_promises_to_survive_a_power_cut_once_the_log_does(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def note() -> witness.Witness | None:
        return witness.read_witness(beside(path, ".lock").read_bytes())

    await live(tmp_path / "a", path, b"second", durability="os")
    log = beside(path, "-wal").stat().st_ino
    notes = []
    fsync = os.fsync

    def remember(descriptor: int) -> None:
        if os.fstat(descriptor).st_ino == log:
            notes.append(note())
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", remember)
    before = note()
    # Somebody who looks, so that the log is not moved into the file.
    with closing(sqlite3.connect(path)) as sql:
        sql.execute("BEGIN")
        sql.execute("SELECT * FROM store").fetchall()
        storage = SQLiteStorage(path, durability="full")
        await storage.open()
        after = note()
        await storage.close()
    assert notes == [before]
    assert before is not None
    assert before.durability == "os"
    assert after == msgspec.structs.replace(before, durability="full")
