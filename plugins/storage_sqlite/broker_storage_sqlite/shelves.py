"""Whether every message is on the shelf where it belongs; and putting it there.

The first migration tells what the shelves mean, `groups` which message of a group is ready.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator

from broker_storage_sqlite.books import Finding
from broker_storage_sqlite.groups import regroup

_MISPLACED = """
FROM messages AS m WHERE NOT CASE m.status
    WHEN 'pending' THEN m.shelf IN (1, 2) OR (m.shelf = 4 AND m.grp IS NOT NULL)
    WHEN 'processing' THEN m.shelf = 3
    ELSE m.shelf = 0 END
"""
_FIND_MISPLACED = f"""
SELECT (SELECT name FROM queues WHERE id = m.queue_id), m.status, m.shelf, count(*)
{_MISPLACED} GROUP BY m.queue_id, m.status, m.shelf
"""
# What is pending waits as if it were scheduled: if it is due, whoever looks next makes it ready.
_PLACE = f"""
UPDATE messages SET shelf = CASE status WHEN 'pending' THEN 2 WHEN 'processing' THEN 3 ELSE 0 END
WHERE id IN (SELECT m.id {_MISPLACED})
"""
_UNKNOWN = """
SELECT (SELECT name FROM queues WHERE id = m.queue_id), m.status, count(*) FROM messages AS m
WHERE m.status NOT IN ('pending', 'processing', 'processed', 'failed')
GROUP BY m.queue_id, m.status
"""

# Grouped as the index has them; only the head may be ready, and only while none is leased.
_WRONG_GROUPS = """
SELECT queue_id, grp FROM (
    SELECT queue_id, grp, min(id) AS head, sum(shelf = 1) AS ready, sum(shelf = 3) AS leased,
        min(CASE shelf WHEN 1 THEN id END) AS first_ready,
        min(CASE shelf WHEN 2 THEN id END) AS first_scheduled
    FROM messages WHERE grp IS NOT NULL AND shelf <> 0 GROUP BY queue_id, grp
) WHERE ready > 1 OR first_ready IS NOT
    CASE WHEN leased = 0 AND head IS NOT first_scheduled THEN head END
"""
_BLOCK = "UPDATE messages SET shelf = 4 WHERE queue_id = ? AND grp = ? AND shelf = 1"


def find_misplaced(sql: sqlite3.Connection) -> Iterator[Finding]:
    """Yield where messages stand that a lease should find and does not, or should not and does."""
    for queue, status, count in sql.execute(_UNKNOWN):
        text = f'{count} messages have the unknown status "{status}"; only a backup helps'
        yield Finding(kind="shelf", queue=queue, text=text, is_repairable=False)
    for queue, status, shelf, count in sql.execute(_FIND_MISPLACED):
        text = f"{count} {status} messages are on shelf {shelf}"
        yield Finding(kind="shelf", queue=queue, text=text)
    names = dict(sql.execute("SELECT id, name FROM queues"))
    wrong = Counter(queue_id for queue_id, _ in sql.execute(_WRONG_GROUPS))
    for queue_id, count in wrong.items():
        text = f"{count} groups have the wrong message ready, or none"
        yield Finding(kind="shelf", queue=names.get(queue_id), text=text)


def put_in_place(sql: sqlite3.Connection) -> None:
    """Put every message where it belongs; the caller's transaction makes it one change."""
    sql.execute(_PLACE)
    wrong = sql.execute(_WRONG_GROUPS).fetchall()
    sql.executemany(_BLOCK, wrong)
    regroup(sql, wrong)
