"""The files of the log: where they are, how they are called, and how they stay few and small."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from broker.timestamps import timestamp

NAME = re.compile(r"broker_log_[0-9]{8}T[0-9]{9}Z\.json")
"""With the time at which it was begun, in UTC and milliseconds, so that names are in order."""

LOCK = "broker_log.lock"

_FLAGS = os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC


def list_files(directory: Path) -> list[str]:
    """Return the names of all files of the log, newest first."""
    try:
        with os.scandir(directory) as entries:
            names = [one.name for one in entries if one.is_file(follow_symlinks=False)]
    except FileNotFoundError:
        return []
    return sorted((name for name in names if NAME.fullmatch(name)), reverse=True)


class LogFile:
    """Writes lines to the newest file of a directory; a full one is followed by another, and the
    oldest goes. One process at a time may do so, the first that has something to write."""

    def __init__(
        self, directory: Path, *, most: int, max_bytes: int, now: Callable[[], int]
    ) -> None:
        self.name = f"{directory}/broker_log_*.json"
        self._directory = directory
        self._most = most
        self._max_bytes = max_bytes
        self._now = now
        self._file: int | None = None
        self._bytes = 0
        self._claim: int | None = None

    def write(self, lines: Sequence[bytes]) -> Iterator[int]:
        """Append lines, a whole number of them to each file, and yield how many, or raise
        OSError."""
        if self._claim is None:
            self._claim = _claim(self._directory)
        if self._file is None or os.fstat(self._file).st_nlink == 0:  # somebody removed it
            self._go_on()
        part: list[bytes] = []
        size = self._bytes
        for line in lines:
            if size + len(line) > self._max_bytes:
                yield self._append(part)
                self._begin()
                part, size = [], 0
            part.append(line)
            size += len(line)
        yield self._append(part)

    def close(self) -> None:
        """Write no more, and let others do so."""
        self._let_go()
        if self._claim is not None:
            os.close(self._claim)
            self._claim = None

    def _append(self, part: Sequence[bytes]) -> int:
        """Write lines, all or none, and return how many."""
        assert self._file is not None
        content = b"".join(part)
        written = 0
        try:
            while written < len(content):
                written += os.write(self._file, content[written:])
        except OSError:
            with suppress(OSError):  # or half a line would stand there
                os.ftruncate(self._file, self._bytes)
            self._let_go()
            raise
        self._bytes += written
        return len(part)

    def _go_on(self) -> None:
        """Go on with the newest file, if it is one that a run before left, else begin one."""
        self._let_go()
        newest = list_files(self._directory)[:1]
        if not newest:
            self._begin()
            return
        self._file = os.open(self._directory / newest[0], _FLAGS)
        self._bytes = os.fstat(self._file).st_size
        if self._bytes and os.pread(self._file, 1, self._bytes - 1) != b"\n":
            self._append([b"\n"])  # it was killed in the middle of a line

    def _begin(self) -> None:
        """Begin a file; its name comes after all others, even if the clock was set back."""
        self._let_go()
        names = list_files(self._directory)
        number = int(re.sub(r"\D", "", timestamp(self._now())))
        if names:
            number = max(number, int(re.sub(r"\D", "", names[0])) + 1)
        path = self._directory / f"broker_log_{number // 10**9}T{number % 10**9:09}Z.json"
        self._file = os.open(path, _FLAGS | os.O_CREAT | os.O_EXCL, mode=0o600)
        self._bytes = 0
        for old in names[self._most - 1 :]:
            (self._directory / old).unlink(missing_ok=True)

    def _let_go(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _claim(directory: Path) -> int:
    """Return what keeps others from writing there while it is open."""
    file = os.open(directory / LOCK, _FLAGS | os.O_CREAT, mode=0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(file)
        raise BlockingIOError(error.errno, "another broker writes its log there") from error
    except BaseException:
        os.close(file)
        raise
    return file
