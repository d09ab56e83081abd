"""What the files of this plugin have in common: durable names, and an owner who can use them."""

from __future__ import annotations

import os
from pathlib import Path


def leave_to_owner(descriptor: int, directory: Path) -> None:
    """Give a new file of root's to whoever owns its directory.

    So a command that root gave does not shut out the broker, which is another user.
    """
    if os.geteuid() == 0:
        owner = directory.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
