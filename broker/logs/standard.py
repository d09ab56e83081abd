"""The log on stderr, of which the platform keeps what it likes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import IO


class Standard:
    """Writes lines to an open file that stays open."""

    name = "stderr"

    def __init__(self, file: IO[str]) -> None:
        self._file = file.fileno()

    def write(self, lines: Sequence[bytes]) -> None:
        """Write lines, as many at once as are there; waits as long as nobody reads them."""
        rest = memoryview(b"".join(lines))
        while rest:
            rest = rest[os.write(self._file, rest) :]

    def close(self) -> None:
        """Leave the file open."""
