"""Cleaning: removing processed and failed messages by age, in a store that no broker uses."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

import msgspec
from broker import MessageQuery, StorageLocked, limits

from broker_storage_sqlite.connections import connect_reader
from broker_storage_sqlite.opening import startup_errors
from broker_storage_sqlite.soundness import demand_ours, demand_store
from broker_storage_sqlite.storage import SQLiteStorage

Finished = Literal["processed", "failed"]

_OLD = """
SELECT q.name, m.status, count(*), sum(length(m.content)) FROM queues AS q CROSS JOIN messages AS m
WHERE m.queue_id = q.id AND m.status = ? AND m.finished_at < ? GROUP BY q.id ORDER BY q.name
"""


class Old(msgspec.Struct, frozen=True, kw_only=True):
    """What a queue holds, or held, of old messages in one state."""

    queue: str
    state: Finished
    messages: int
    bytes: int


def find_old(
    path: Path, states: Sequence[Finished], *, before: int, globs: Sequence[str] = ()
) -> list[Old]:
    """Count what was finished before a time (in milliseconds), in queues whose name matches a glob.

    No globs: in all. A broker may be using the store.
    """
    demand_store(path)
    with startup_errors(path), closing(connect_reader(path)) as sql:
        demand_ours(sql, path, remedy="set plugins.storage_sqlite.path to another file")
        rows = [row for state in states for row in sql.execute(_OLD, (state, before))]
    return [
        Old(queue=queue, state=state, messages=messages, bytes=size)
        for queue, state, messages, size in rows
        if not globs or any(fnmatchcase(queue, glob) for glob in globs)
    ]


async def clean(
    path: Path,
    states: Sequence[Finished],
    *,
    before: int,
    now: int,
    globs: Sequence[str] = (),
) -> list[Old]:
    """Remove them, some at a time, as a purge does; return what was removed.

    The totals count it as deleted, dedup keys stay. Raises StorageLocked if a broker runs.
    """
    demand_store(path)
    storage = SQLiteStorage(path)
    try:
        await storage.open()
    except StorageLocked as error:
        raise StorageLocked(
            f"a broker uses {path}; clean through it: broker queue purge QUEUE --state failed"
            " --older-than 7d, for example"
        ) from error
    try:
        found = find_old(path, states, before=before, globs=globs)
        for old in found:
            query = MessageQuery(queue=old.queue, states=(old.state,), finished_before=before)
            while await storage.bulk(query, "delete", now=now, limit=limits.MAX_BATCH_MESSAGES):
                pass
    finally:
        await storage.close()
    return found
