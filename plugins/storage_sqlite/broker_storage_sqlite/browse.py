"""Browsing: pages of messages, read without the writer."""

from __future__ import annotations

from typing import Any

from broker import Message, MessageQuery, Page
from msgspec.structs import replace

from broker_storage_sqlite.reader import Reader
from broker_storage_sqlite.rows import MESSAGE_COLUMNS, message_of
from broker_storage_sqlite.selection import select

_SEARCHED = 500
"""Bodies that one statement searches, so that a long search lets other reads in between."""

_PAGE = f"""
SELECT {", ".join("m." + column.strip() for column in MESSAGE_COLUMNS.split(","))}, q.name
FROM messages AS m JOIN queues AS q ON q.id = m.queue_id
WHERE m.id IN ({{selection}}) ORDER BY m.id
"""
_HITS = """
SELECT id, instr(content, :text) > 0 FROM messages WHERE id IN ({selection}) ORDER BY id
"""


async def browse(reader: Reader, query: MessageQuery, now: int) -> Page:
    """Return a page; its `after` is None exactly if nothing follows."""
    if query.text is not None:
        return await _search(reader, query, query.text, now)
    messages = await _read(reader, query, query.limit + 1, now)
    page = messages[: query.limit]
    return Page(page, page[-1].id if len(messages) > len(page) and page else None)


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
    messages = await _read(reader, replace(query, ids=ids), len(ids), now)
    return Page(messages, ids[-1] if len(hits) > len(ids) and ids else None)


async def _read(reader: Reader, query: MessageQuery, limit: int, now: int) -> list[Message]:
    selection = select(query, now=now, limit=limit)
    rows: list[tuple[Any, ...]] = await reader.fetch(
        _PAGE.format(selection=selection.sql), selection.parameters
    )
    return [message_of(row, row[-1], now) for row in rows]
