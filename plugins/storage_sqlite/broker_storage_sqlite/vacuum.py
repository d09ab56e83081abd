"""Vacuuming: a compact copy takes the place of the store, so that a crash leaves either."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import msgspec
from broker import StorageFull

from broker_storage_sqlite.connections import connect_writer
from broker_storage_sqlite.opening import prepare_file
from broker_storage_sqlite.partial import Partial, beside
from broker_storage_sqlite.replacing import fold_log, owning, use_log
from broker_storage_sqlite.room import RESERVE_BYTES, free_on_disk
from broker_storage_sqlite.schema import read_migrations
from broker_storage_sqlite.soundness import demand_sound, demand_store
from broker_storage_sqlite.witness import read_witness


class Vacuumed(msgspec.Struct, frozen=True, kw_only=True):
    """The bytes of a store, its log included, before and after."""

    path: str
    before: int
    after: int


async def vacuum(path: Path) -> Vacuumed:
    """Make the store at `path`, which nobody uses, as small as what it holds.

    Its disk must have room for a copy of that; raises StorageFull if it has not. In the file
    itself it would need room twice: for the copy, and for the log of moving it back.
    """
    demand_store(path)
    before = _size(path)
    with owning(path) as lock, Partial(path) as partial:
        await prepare_file(path, read_migrations(), read_witness(lock.read()))
        with closing(connect_writer(path, "full")) as sql:
            [pages] = sql.execute("PRAGMA page_count").fetchone()
            [free] = sql.execute("PRAGMA freelist_count").fetchone()
            [page_size] = sql.execute("PRAGMA page_size").fetchone()
            _demand_room(path, (pages - free) * page_size)
            sql.execute("VACUUM INTO ?", (str(partial.path),))
        demand_sound(partial.path, path, remedy="see broker db check", quick=True)
        use_log(partial.path)
        fold_log(path)
        partial.place()
    return Vacuumed(path=str(path), before=before, after=_size(path))


def _demand_room(path: Path, needed: int) -> None:
    free = free_on_disk(path)
    if free < needed + RESERVE_BYTES:
        raise StorageFull(
            f"vacuuming {path} takes {needed} bytes of its disk while it lasts, and beside the"
            f" reserve of {RESERVE_BYTES} there are {max(0, free - RESERVE_BYTES)}; free some first"
        )


def _size(path: Path) -> int:
    files = (path, beside(path, "-wal"))
    return sum(file.stat().st_size for file in files if file.exists())
