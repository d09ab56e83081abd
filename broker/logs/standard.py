"""The log on stderr, of which the platform keeps what it likes."""

from __future__ import annotations

import os
import select
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import IO


class Standard:
    """Writes lines to an open file that stays open."""

    name = "stderr"

    def __init__(self, file: IO[str]) -> None:
        self._file = file.fileno()
        self._rest = b""

    def write(self, lines: Sequence[bytes]) -> Iterator[int]:
        """Write lines, as many at once as are there, and yield how many were begun; waits as long
        as nobody reads them. What an error leaves of a line comes first the next time."""
        content = memoryview(b"".join((self._rest, *lines)))
        begins = [*accumulate(map(len, lines), initial=len(self._rest))]
        written = begun = 0
        while written < len(content):
            written += self._put(content[written:])
            before, begun = begun, bisect_left(begins, written)
            self._rest = bytes(content[written : begins[begun]])
            yield begun - before

    def close(self) -> None:
        """Leave the file open."""

    def _put(self, content: memoryview) -> int:
        while True:
            try:
                return os.write(self._file, content)
            except BlockingIOError:  # another process that has the same file may want it so
                poll = select.poll()
                poll.register(self._file, select.POLLOUT)
                poll.poll()
