"""Files that are made beside their place."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from broker import StorageLocked, StorageUnreadable
from broker_storage_sqlite.partial import Partial


def test_a_file_appears_whole_and_for_its_owner_alone(path: Path) -> None:
    with Partial(path) as partial:
        partial.path.write_text("whole")
        assert not path.exists()
        partial.place()
    assert path.read_text() == "whole"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_what_was_not_placed_is_removed(path: Path) -> None:
    path.write_text("before")
    with pytest.raises(ZeroDivisionError), Partial(path) as partial:
        partial.path.write_text("half")
        raise ZeroDivisionError
    assert path.read_text() == "before"
    assert list(path.parent.iterdir()) == [path]


def test_one_at_a_time_makes_a_file(path: Path) -> None:
    with Partial(path) as partial:
        with pytest.raises(StorageLocked, match="is being written by another process"):
            Partial(path).__enter__()
        partial.path.write_text("mine")
        partial.place()
    assert path.read_text() == "mine"


def test_whoever_has_placed_a_file_does_not_remove_that_of_the_next(path: Path) -> None:
    first, second = Partial(path), Partial(path)
    with first:
        first.place()
        second.__enter__()
        second.path.with_name("broker.db.partial-wal").touch()
    assert second.path.exists()
    assert second.path.with_name("broker.db.partial-wal").exists()
    second.place()
    second.__exit__(None, None, None)


def link(planted: Path, other: Path) -> None:
    planted.symlink_to(other)


def link_hard(planted: Path, other: Path) -> None:
    planted.hardlink_to(other)


def link_to_nothing(planted: Path, other: Path) -> None:
    planted.symlink_to(other.with_name("nothing"))


def pipe(planted: Path, other: Path) -> None:
    os.mkfifo(planted)


@pytest.mark.parametrize("plant", [link, link_hard, link_to_nothing, pipe])
def test_what_others_put_there_is_not_written_to(
    path: Path, plant: Callable[[Path, Path], None]
) -> None:
    other, planted = path.with_name("other"), path.with_name("broker.db.partial")
    other.write_text("precious")
    plant(planted, other)
    with pytest.raises(StorageUnreadable) as refused:
        Partial(path).__enter__()
    assert str(refused.value) == (
        f"{planted} is a link, or not a file of the user that runs this; remove it"
    )
    assert other.read_text() == "precious"
    assert not path.with_name("nothing").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_file_of_somebody_else_is_not_written_to(path: Path) -> None:
    planted = path.with_name("broker.db.partial")
    planted.touch()
    os.chown(planted, 4711, 4712)
    with pytest.raises(StorageUnreadable, match="not a file of the user that runs this"):
        Partial(path).__enter__()
    assert planted.exists()


def test_what_a_killed_process_left_for_all_to_read_is_for_its_owner_again(path: Path) -> None:
    left = path.with_name("broker.db.partial")
    left.touch()
    left.chmod(0o666)
    with Partial(path) as partial:
        partial.place()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_whoever_waited_for_a_file_that_was_placed_does_not_write_into_it(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = os.open

    def late(name: Path, *arguments: int) -> int:
        """Open the partial file just before another process moves it to its place."""
        descriptor = opened(name, *arguments)
        if name == path.with_name("broker.db.partial"):
            Path(name).rename(path)
        return descriptor

    path.with_name("broker.db.partial").write_text("of another process")
    monkeypatch.setattr(os, "open", late)
    with pytest.raises(StorageLocked):
        Partial(path).__enter__()
    assert path.read_text() == "of another process"


def test_it_is_durable_before_it_has_its_name(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, bool]] = []
    synced = os.fsync

    def spy(descriptor: int) -> None:
        kind = "directory" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"
        seen.append((kind, path.exists()))
        synced(descriptor)

    monkeypatch.setattr(os, "fsync", spy)
    with Partial(path) as partial:
        partial.place()
    assert seen == [("file", False), ("directory", True), ("directory", True)]


def test_what_belonged_to_a_file_that_was_there_is_gone_before_and_after(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def beside() -> list[str]:
        return sorted(file.name for file in path.parent.iterdir())

    path.write_text("before")
    for suffix in ("-wal", "-shm", "-journal"):
        path.with_name(f"broker.db{suffix}").write_text("of the one before")
    seen = []
    rename = Path.rename

    def spy(self: Path, target: Path) -> Path:
        seen.extend(beside())
        path.with_name("broker.db-shm").write_text("of a reader that came now")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", spy)
    with Partial(path) as partial:
        partial.place()
    assert seen == ["broker.db", "broker.db.partial"]
    assert beside() == ["broker.db"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_root_replaces_keeps_its_owner(path: Path) -> None:
    path.touch()
    os.chown(path, 4711, 4712)
    with Partial(path) as partial:
        partial.place()
    assert (path.stat().st_uid, path.stat().st_gid) == (4711, 4712)
