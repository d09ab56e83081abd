"""Browsing: pages of messages, read without the writer."""

from __future__ import annotations

from typing import Any

from broker import MessageQuery, Page, limits
from msgspec.structs import replace

from broker_storage_sqlite.reader import Reader
from broker_storage_sqlite.rows import MESSAGE_COLUMNS, message_of
from broker_storage_sqlite.selection import select

_SEARCHED = 500
"""Bodies that one statement searches, so that a long search lets other reads in between."""

# Lengths first: they tell which bodies fit a page, and SQLite knows them without reading a body.
_PAGE = f"""
WITH chosen AS MATERIALIZED (
    SELECT id, length(content) AS size FROM messages WHERE id IN ({{selection}})
), summed AS (
    SELECT id, sum(size) OVER (ORDER BY id) - size AS before FROM chosen
)
SELECT {", ".join("m." + column.strip() for column in MESSAGE_COLUMNS.split(","))}, q.name,
    (SELECT max(id) FROM chosen) AS last
FROM messages AS m JOIN queues AS q ON q.id = m.queue_id
WHERE m.id IN (SELECT id FROM summed WHERE before < {limits.MAX_BATCH_BYTES}) ORDER BY m.id
"""
_HITS = """
SELECT id, instr(content, :text) > 0 FROM messages WHERE id IN ({selection}) ORDER BY id
"""


async def browse(reader: Reader, query: MessageQuery, now: int) -> Page:
    """Return a page; its `after` is None exactly if nothing follows."""
    if query.text is not None:
        return await _search(reader, query, query.text, now)
    return await _read(reader, query, now)


async def _search(reader: Reader, query: MessageQuery, text: str, now: int) -> Page:
    """Find the ids first: bodies that are on no page are never held."""
    hits: list[int] = []
    after = query.after
    while len(hits) <= query.limit:
        selection = select(replace(query, after=after), now=now, limit=_SEARCHED)
        parameters = {**selection.parameters, "text": text.encode()}
        rows = await reader.fetch(_HITS.format(selection=selection.sql), parameters)
        hits += [message_id for message_id, is_hit in rows if is_hit]
        if len(rows) < _SEARCHED:
            break
        after = rows[-1][0]
    ids = tuple(hits[: query.limit])
    page = await _read(reader, MessageQuery(ids=ids, limit=query.limit), now)
    if page.after is None and ids and len(hits) > len(ids):
        return replace(page, after=ids[-1])
    return page


async def _read(reader: Reader, query: MessageQuery, now: int) -> Page:
    # One more than the page holds, to find out whether anything follows.
    selection = select(query, now=now, limit=query.limit + 1)
    rows: list[tuple[Any, ...]] = await reader.fetch(
        _PAGE.format(selection=selection.sql), selection.parameters
    )
    messages = [message_of(row, row[-2], now) for row in rows[: query.limit]]
    is_last = not messages or messages[-1].id == rows[0][-1]
    return Page(messages, None if is_last else messages[-1].id)
