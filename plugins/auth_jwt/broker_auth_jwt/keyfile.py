"""The file of the signing keys: a private JWK Set (RFC 7517)."""

from __future__ import annotations

import fcntl
import os
import shlex
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from broker import ConfigError

from broker_auth_jwt.files import leave_to_owner, sync_directory
from broker_auth_jwt.stored_key import StoredKey

_LONGEST = 1 << 20
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW

_TOO_OPEN = stat.S_IWGRP | stat.S_IRWXO
"""A group may be let read it, so that brokers of several users can share the file."""

Keys = tuple[StoredKey, ...]
"""The key that signs, then those that still verify."""


class _KeySet(msgspec.Struct, frozen=True):
    keys: Keys


class KeyFile:
    """Keys on disk, which several processes may read and change."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def version(self) -> tuple[int, ...] | None:
        """Return what is another after each change; None while there is no file."""
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns

    def read(self) -> Keys:
        """Return the keys, none if there is no file; raises ConfigError if it may not be used."""
        try:
            with self.path.open("rb") as file:
                self._check_mode(os.fstat(file.fileno()).st_mode)
                text = file.read(_LONGEST)
        except FileNotFoundError:
            return ()
        except OSError as error:
            problem = f"{self.path} cannot be read: {error.strerror}"
            raise ConfigError(f"{problem}; let the user that runs the broker read it") from error
        return self._decode(text)

    def _refuse_trap(self) -> None:
        """Do not write where another user's link leads root to."""
        if os.geteuid() == 0 and self.path.is_symlink() and self.path.lstat().st_uid != 0:
            raise ConfigError(
                f"{self.path} is a link that is not root's own; run this as the user of the broker"
            )

    def change(self, change: Callable[[Keys], Keys]) -> Keys:
        """Replace the keys by what `change` makes of them, wholly or not at all; return that.

        Processes that do so at once come one after the other.
        """
        self._refuse_trap()
        path = self.path.resolve()
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial = path.with_name(f"{path.name}.partial")
        with _locked(partial) as descriptor:
            before = self.read()
            after = change(before)
            if after != before:
                _take_access(descriptor, path)
                _write(descriptor, msgspec.json.encode(_KeySet(after)))
                partial.rename(path)
                sync_directory(path.parent)
        return after

    def unusable(self, reason: str) -> ConfigError:
        """Return the error for a file that is not what it should be."""
        return ConfigError(
            f"{self.path} is damaged, or no key file of this plugin: {reason}; bring back a copy,"
            " or remove it: a new one is made at the next start, and all logins end"
        )

    def _check_mode(self, mode: int) -> None:
        if mode & _TOO_OPEN:
            raise ConfigError(
                f"{self.path} holds signing keys, but others may read or change it (mode"
                f" {stat.S_IMODE(mode):04o}): chmod 600 {shlex.quote(str(self.path))}"
            )

    def _decode(self, text: bytes) -> Keys:
        try:
            keys = msgspec.json.decode(text, type=_KeySet).keys
        except (ValueError, RecursionError) as error:
            raise self.unusable(str(error) if text else "it is empty") from error
        if [key.verifies_until is None for key in keys] != [True] + [False] * (len(keys) - 1):
            raise self.unusable("the first key, and no other, must be without exp")
        if len({key.kid for key in keys}) < len(keys):
            raise self.unusable("two keys have the same kid")
        return keys


@contextmanager
def _locked(partial: Path) -> Iterator[int]:
    """Make a private file that nobody else writes while the block runs; yield its descriptor.

    If it still has its name then, it is removed.
    """
    descriptor = os.open(partial, _FLAGS, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        # Whoever had the lock before has moved or removed what was opened here.
        while not _is_at(descriptor, partial):
            os.close(descriptor)
            descriptor = os.open(partial, _FLAGS, 0o600)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_uid != os.geteuid():
            raise ConfigError(f"{partial} is not a file of the user that runs this; remove it")
        os.fchmod(descriptor, 0o600)
        yield descriptor
    finally:
        if _is_at(descriptor, partial):
            partial.unlink()
        os.close(descriptor)


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False


def _take_access(descriptor: int, path: Path) -> None:
    """Let those read a new file who may read the old one."""
    try:
        like = path.stat()
    except FileNotFoundError:
        leave_to_owner(descriptor, path.parent)
    else:
        os.fchown(descriptor, like.st_uid, like.st_gid)
        os.fchmod(descriptor, stat.S_IMODE(like.st_mode))


def _write(descriptor: int, text: bytes) -> None:
    # What a process that was killed left here.
    os.ftruncate(descriptor, 0)
    with open(descriptor, "wb", closefd=False) as file:
        file.write(msgspec.json.format(text, indent=2) + b"\n")
    os.fsync(descriptor)
