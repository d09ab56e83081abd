"""Reading the log's files again."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Literal, get_args

import msgspec

from broker.errors import LogNotFound
from broker.logs.files import NAME, list_files
from broker.timestamps import timestamp

LogLevel = Literal["debug", "info", "warning", "error", "critical"]
"""How severe something is that was logged, the least first."""

MOST_BYTES = 8 * 1024 * 1024
"""How much is returned at one time; of more, the newest."""

MOST_LOOKED_AT = 64 * 1024 * 1024
"""How much of a file is looked at, of a larger one its end: no file that we write is larger."""


class LogFiles:
    """The files of the log in a directory, whoever writes them. What is asked reads files: call it
    in a thread."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def names(self) -> list[str]:
        """Return the names of the files, newest first."""
        return list_files(self._directory)

    def read(
        self,
        name: str,
        *,
        start: int | None = None,
        end: int | None = None,
        level: LogLevel = "debug",
        tail: int,
    ) -> list[msgspec.Raw]:
        """Return the newest `tail` entries of a file, oldest first, each a JSON object.

        Only those from `start` to `end`, both in milliseconds UTC and included, and no less severe
        than `level`. Raises LogNotFound, for whatever is no file of the log.
        """
        levels = frozenset(_LEVELS[_LEVELS.index(level) :])
        first, last = timestamp(start) or "", timestamp(end) or "~"
        found: list[msgspec.Raw] = []
        size = 0
        for line, entry in _entries(self._content(name)):
            # Of all, for times fall back where a clock was set back, or a thread came late.
            if not first <= entry.timestamp <= last or entry.level not in levels:
                continue
            size += len(line)
            if len(found) == tail or size > MOST_BYTES:
                break
            found.append(msgspec.Raw(line))
        return found[::-1]

    def _content(self, name: str) -> bytes:
        if not NAME.fullmatch(name):
            raise LogNotFound(name)
        try:
            # One that is no file could keep who opens it waiting, or lead elsewhere.
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            with open(os.open(self._directory / name, flags), "rb") as file:  # noqa: PTH123  # of a descriptor
                found = os.fstat(file.fileno())
                if not stat.S_ISREG(found.st_mode):
                    raise LogNotFound(name)
                file.seek(max(0, found.st_size - MOST_LOOKED_AT))
                return file.read(MOST_LOOKED_AT)
        except OSError as error:
            raise LogNotFound(name) from error


class _Entry(msgspec.Struct, gc=False):
    """What entries are chosen by."""

    timestamp: str
    level: str
    message: str


_LEVELS = get_args(LogLevel)
_decode = msgspec.json.Decoder(_Entry).decode


def _entries(content: bytes) -> Iterator[tuple[bytes, _Entry]]:
    """Yield what stands in a file, newest first, but for what is no entry: a line that was being
    written, say."""
    end = content.rfind(b"\n")
    while end > 0:
        begin = content.rfind(b"\n", 0, end) + 1
        line = content[begin:end]
        with suppress(msgspec.DecodeError, UnicodeDecodeError):
            yield line, _decode(line)
        end = begin - 1
