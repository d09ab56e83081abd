"""Backups: one snapshot of a store, copied while the broker goes on writing.

The connection that is read from is in one transaction from the first page to the last. So the
copy never begins again, however much is written meanwhile, which a copy without one does; and
nobody waits for it. The log grows by what is written until it ends.
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import msgspec
from broker import BrokerError, StorageUnreadable

from broker_storage_sqlite.agreement import check_agreement, read_stamp
from broker_storage_sqlite.connections import connect_reader
from broker_storage_sqlite.lock import read_note
from broker_storage_sqlite.opening import prepare_directory, startup_errors
from broker_storage_sqlite.partial import Partial, belongs_to
from broker_storage_sqlite.soundness import demand_ours, demand_sound, demand_store
from broker_storage_sqlite.witness import read_witness

_PAGES = 256
"""Copied at a time: a mebibyte."""

_SYNCED = 16
"""After so many times what was written is synced, so that the broker's own syncs stay short."""

_ELSEWHERE = "set plugins.storage_sqlite.path to another file"


class Backup(msgspec.Struct, frozen=True, kw_only=True):
    """A backup that was made."""

    path: str
    bytes: int
    messages: int
    queues: int
    seconds: float


def back_up(path: Path, target: Path, *, force: bool = False) -> Backup:
    """Copy the store at `path`, in use or not, to `target`, which appears when it is whole.

    It holds everything that was committed before this began. Raises BrokerError if `target` is
    there already, without `force`, and StorageUnreadable for a store that no broker would start
    with: its backup would take the place of a better one.
    """
    began = time.monotonic()
    demand_store(path)
    _demand_free(path, target, force=force)
    with startup_errors(path):
        witness = read_witness(read_note(path))  # before the snapshot, which has all of it then
    _make_directory(target)
    with Partial(target) as partial:
        with startup_errors(path), closing(connect_reader(path)) as source:
            source.execute("BEGIN")
            demand_ours(source, path, remedy=_ELSEWHERE)
            check_agreement(path, read_stamp(source), witness)
            copy(source, path, partial)
        demand_sound(partial.path, path, remedy="see broker db check", quick=True)
        messages, queues = count(partial.path)
        size = partial.path.stat().st_size
        _demand_free(path, target, force=force)
        partial.place()
    return Backup(
        path=str(target),
        bytes=size,
        messages=messages,
        queues=queues,
        seconds=round(time.monotonic() - began, 3),
    )


def copy(source: sqlite3.Connection, name: Path, partial: Partial) -> None:
    """Copy what a connection sees, whose file is called `name`, into an empty file."""
    steps = 0

    def copied(_status: int, _remaining: int, _total: int) -> None:
        nonlocal steps
        steps += 1
        if steps % _SYNCED == 0:
            partial.sync()

    try:
        with closing(sqlite3.connect(partial.path, isolation_level=None)) as target:
            # What is half written when the process dies is thrown away, so it needs no journal.
            target.execute("PRAGMA journal_mode = OFF")
            target.execute("PRAGMA synchronous = OFF")
            source.backup(target, pages=_PAGES, progress=copied)
    except (sqlite3.Error, OSError) as error:
        problem = f"{name} cannot be copied to {partial.path} ({error})"
        raise StorageUnreadable(f"{problem}; see that both disks work and have room") from error


def count(path: Path) -> tuple[int, int]:
    """Return how many messages and queues are in a store that nobody writes to."""
    with closing(connect_reader(path, is_frozen=True)) as sql:
        [messages] = sql.execute("SELECT count(*) FROM messages").fetchone()
        [queues] = sql.execute("SELECT count(*) FROM queues").fetchone()
    return int(messages), int(queues)


def _make_directory(target: Path) -> None:
    try:
        prepare_directory(target.absolute())
    except OSError as error:
        problem = f"{error.filename} cannot be made ({error.strerror}); choose another place"
        raise StorageUnreadable(problem) from error


def _demand_free(path: Path, target: Path, *, force: bool) -> None:
    if belongs_to(target, path) or (target.exists() and not target.is_file()):
        raise BrokerError(f"{target} is not to be overwritten; name another file")
    if target.exists() and not force:
        raise BrokerError(f"{target} is there already; --force overwrites it")
