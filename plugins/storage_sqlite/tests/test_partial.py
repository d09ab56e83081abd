"""Files that are made beside their place."""

import os
import stat
from pathlib import Path

import pytest

from broker import StorageLocked
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
