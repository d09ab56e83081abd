"""What the storage shows of itself: the disk, and how it keeps up."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from broker import Meter

from broker_storage_sqlite.room import free_on_disk

COMMIT_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
"""The bounds of the buckets for how long a commit took: from a fast disk to one that fails."""

BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
"""The bounds of the buckets for how many operations shared a commit."""


class Instruments:
    """Recorded with by the writer's thread, which also looks at the files: a disk that hangs must
    not hang the event loop."""

    def __init__(self, meter: Meter, path: Path) -> None:
        self._path = path
        self._log = path.with_name(f"{path.name}-wal")
        self._bytes = 0
        self._log_bytes = 0
        self._free_bytes = 0
        self._commit_seconds = meter.histogram(
            "storage_commit_seconds", "How long the disk took for a commit.", COMMIT_SECONDS
        )
        self._batch_size = meter.histogram(
            "storage_batch_size", "How many operations shared a commit.", BATCH_SIZES
        )
        meter.gauge(
            "storage_bytes",
            "The size of the database, without its write-ahead log, a second ago.",
            lambda: self._bytes,
        )
        meter.gauge(
            "storage_wal_bytes",
            "The size of the write-ahead log beside the database, a second ago.",
            lambda: self._log_bytes,
        )
        meter.gauge(
            "storage_free_bytes",
            "What the disk of the database has left, a second ago.",
            lambda: self._free_bytes,
        )

    def note_commit(self, seconds: float, batch: int) -> None:
        """Record a commit that changed something."""
        self._commit_seconds.record(seconds)
        self._batch_size.record(batch)

    def look(self) -> None:
        """Look at the files; what cannot be looked at now stays as it was."""
        with suppress(OSError):
            self._free_bytes = free_on_disk(self._path)
            self._bytes = self._path.stat().st_size
            self._log_bytes = self._log.stat().st_size
