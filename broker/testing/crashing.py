"""What a crash leaves of what is kept in files."""

from __future__ import annotations

import shutil
from pathlib import Path


class Crashing:
    """A part of the contracts of what is durable."""

    def crash(self, tmp_path: Path) -> Path:
        """Return the directory where a new one finds what is left of `tmp_path` after a crash.

        Called while one is open on `tmp_path`, between operations; another is then made in the
        directory, and the first is closed much later. The default copies the files as they are,
        which is what `kill -9` leaves. Override it if your data is kept elsewhere: kill the server
        that has it, start it again, and return `tmp_path`.
        """
        left = tmp_path.with_name(f"{tmp_path.name}-left")
        shutil.copytree(tmp_path, left)
        return left
