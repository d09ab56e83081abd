"""The witness: what the lock file remembers of the store, so that a loss of commits is noticed.

SQLite takes a database whose log was deleted, cut or exchanged as it finds it: older, perhaps
empty, and without a word. So every commit counts itself in the table `store`, and when it is on
the disk the writer notes the count in the lock file. The note is never synced and never leads:
after a crash it may be behind the database, and then it proves nothing; if it is ahead, commits
that were answered are missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from zlib import crc32

import msgspec

from broker_storage_sqlite.config import Durability

READ_STAMP = "SELECT id, commits FROM store"

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Stamp(msgspec.Struct, frozen=True):
    """Whose database it is, and how many commits it has seen."""

    store: bytes
    commits: int


def stamp_of(row: Sequence[object] | None) -> Stamp | None:
    """Return the stamp in a row of READ_STAMP; None for a row that is damaged or not there."""
    match row:
        case [bytes() as store, int() as commits]:
            return Stamp(store, commits)
    return None


class Witness(msgspec.Struct, frozen=True):
    """What was true after the last commit, and since when the machine was up then."""

    stamp: Stamp
    durability: Durability
    boot: str

    def encode(self) -> bytes:
        """Return a line that shows whether it is whole."""
        text = msgspec.json.encode(self)
        return b"%08x %b\n" % (crc32(text), text)

    def proves(self, commits: int) -> bool:
        """Tell whether a database with so many commits has lost some that were answered."""
        # With durability "os" a power cut may take the last ones, and that was agreed to.
        is_binding = self.durability == "full" or (self.boot != "" and self.boot == boot_id())
        return is_binding and commits < self.stamp.commits


def read_witness(note: bytes) -> Witness | None:
    """Return the witness that a lock file holds; None if there is none or it is not whole."""
    checksum, _, text = note.partition(b"\n")[0].partition(b" ")
    if checksum != b"%08x" % crc32(text):
        return None
    with suppress(msgspec.DecodeError):
        return msgspec.json.decode(text, type=Witness)
    return None


def boot_id() -> str:
    """Return what is different after each start of the machine; empty if it does not say."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""
