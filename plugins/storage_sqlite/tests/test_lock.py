"""The lock file: whose it is, and that it is no other file."""

import os
import stat
from pathlib import Path

import pytest

from broker import StorageUnreadable
from broker_storage_sqlite.lock import FileLock, lock_path


def test_a_lock_file_is_made_for_its_owner_alone(path: Path) -> None:
    lock = FileLock(path)
    lock.acquire()
    lock.release()
    assert stat.S_IMODE(lock_path(path).stat().st_mode) == 0o600


@pytest.mark.parametrize("name", ["other", "nothing"])
def test_a_link_in_the_place_of_a_lock_file_is_not_followed(path: Path, name: str) -> None:
    other = path.with_name("other")
    other.write_text("precious")
    lock_path(path).symlink_to(path.with_name(name))
    with pytest.raises(StorageUnreadable) as refused:
        FileLock(path).acquire()
    assert str(refused.value) == (f"{path}.lock is a link, and could lead to any file; remove it")
    assert other.read_text() == "precious"
    assert not path.with_name("nothing").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("has_database", [True, False])
def test_a_lock_file_that_root_makes_belongs_to_the_owner_of_the_database(
    path: Path, *, has_database: bool
) -> None:
    if has_database:
        path.touch()
    os.chown(path if has_database else path.parent, 4711, 4712)
    lock = FileLock(path)
    lock.acquire()
    lock.release()
    found = lock_path(path).stat()
    assert (found.st_uid, found.st_gid) == (4711, 4712)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_lock_file_that_is_there_keeps_its_owner(path: Path) -> None:
    lock_path(path).touch()
    path.touch()
    os.chown(path, 4711, 4712)
    lock = FileLock(path)
    lock.acquire()
    lock.release()
    assert lock_path(path).stat().st_uid == 0
