"""Listing queues with what they hold, in time that does not grow with their length."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from broker import Counts, QueueStatus, Totals

from broker_storage_sqlite.counters import HELD, TOTALS
from broker_storage_sqlite.rows import QUEUE_COLUMNS, queue_of

_WIDTH = len(QUEUE_COLUMNS.split(","))
_TOTAL_FIELDS = [name.removeprefix("total_") for name in TOTALS]
_PRIORITIES = " UNION ALL ".join(f"SELECT {priority} AS rank" for priority in range(10))
_LOOKED_AT = 1000
"""How many due rows that nobody has noticed yet `oldest_at` takes into account."""

_FIRST_OF_GROUP = " UNION ALL ".join(
    "SELECT min(id) AS id FROM messages"
    f" WHERE queue_id = due.queue_id AND grp = due.grp AND shelf <> 0 AND shelf = {shelf}"
    for shelf in (1, 2, 3, 4)
)
# A due row can be leased; of a group it is the head, if that is visible and none is leased.
_DUE = f"""
SELECT min(CASE WHEN grp IS NULL THEN id ELSE (
    SELECT head.id FROM messages AS head
    WHERE head.id = (SELECT min(id) FROM ({_FIRST_OF_GROUP})) AND head.visible_at <= :now
        AND NOT EXISTS (SELECT 1 FROM messages WHERE queue_id = due.queue_id AND grp = due.grp
            AND shelf <> 0 AND shelf = 3 AND visible_at > :now)
) END) FROM (
    SELECT id, queue_id, grp FROM messages
    WHERE queue_id = page.id AND shelf = {{shelf}} AND visible_at <= :now
    ORDER BY visible_at LIMIT {_LOOKED_AT}
) AS due
"""
_OLDEST = f"""
SELECT min(id) FROM (
    SELECT (SELECT min(id) FROM messages
        WHERE queue_id = page.id AND shelf = 1 AND rank = ranks.rank) AS id
    FROM ({_PRIORITIES}) AS ranks
    UNION ALL {_DUE.format(shelf=2)}
    UNION ALL {_DUE.format(shelf=3)}
)
"""
_COUNT_DUE = "SELECT count(*) FROM messages WHERE queue_id = page.id AND visible_at <= :now"
_STATUS = f"""
WITH page AS (SELECT * FROM queues WHERE {{condition}} ORDER BY name LIMIT :limit)
SELECT {QUEUE_COLUMNS}, {", ".join(HELD + TOTALS)},
    ({_COUNT_DUE} AND shelf = 2),
    ({_COUNT_DUE} AND shelf = 3),
    (SELECT max(created_at, visible_at) FROM messages WHERE id = ({_OLDEST}))
FROM page ORDER BY name
"""
_BY_NAMES = _STATUS.format(condition="name IN (SELECT value FROM json_each(:names))")
_BY_PREFIX = _STATUS.format(
    condition="name >= :prefix AND name < :prefix || char(1114111) AND name > :after"
)


def status_query(
    names: Sequence[str] | None, *, prefix: str, after: str | None, limit: int, now: int
) -> tuple[str, dict[str, Any]]:
    """Return the SQL that lists queues, and its parameters."""
    if names is not None:
        encoded = msgspec.json.encode(list(names)).decode()
        return _BY_NAMES, {"names": encoded, "limit": limit, "now": now}
    return _BY_PREFIX, {"prefix": prefix, "after": after or "", "limit": limit, "now": now}


def status_of(row: Sequence[Any]) -> QueueStatus:
    """Return what a row of that SQL says; what is due counts as what it has become."""
    held = dict(zip(HELD, row[_WIDTH:], strict=False))
    totals = dict(zip(_TOTAL_FIELDS, row[_WIDTH + len(HELD) :], strict=False))
    due, lapsed, oldest_at = row[-3:]
    return QueueStatus(
        queue=queue_of(row),
        counts=Counts(
            pending=held["pending"] + lapsed,
            processing=held["processing"] - lapsed,
            processed=held["processed"],
            failed=held["failed"],
            scheduled=held["scheduled"] - due,
        ),
        totals=Totals(**totals),
        bytes=held["bytes"],
        oldest_at=oldest_at,
    )
