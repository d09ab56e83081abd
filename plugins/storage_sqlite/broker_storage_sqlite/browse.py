"""Browsing: pages of messages, read without the writer."""

from __future__ import annotations

from typing import Any

from broker import MessageQuery, Page
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
# Rows without the text come too, so that the search knows where it stands, but without a body.
_SEARCH = _PAGE.replace("m.content,", "CASE WHEN instr(m.content, :text) > 0 THEN m.content END,")
_ID, _CONTENT = 0, 3


async def browse(reader: Reader, query: MessageQuery, now: int) -> Page:
    """Return a page; its `after` is None exactly if nothing follows."""
    wanted = query.limit + 1
    rows = await (
        _read(reader, query, wanted, now)
        if query.text is None
        else _search(reader, query, wanted, now)
    )
    messages = [message_of(row, row[-1], now) for row in rows[: query.limit]]
    return Page(messages, messages[-1].id if messages and len(rows) == wanted else None)


async def _read(
    reader: Reader, query: MessageQuery, wanted: int, now: int
) -> list[tuple[Any, ...]]:
    selection = select(query, now=now, limit=wanted)
    return await reader.fetch(_PAGE.format(selection=selection.sql), selection.parameters)


async def _search(
    reader: Reader, query: MessageQuery, wanted: int, now: int
) -> list[tuple[Any, ...]]:
    assert query.text is not None
    found: list[tuple[Any, ...]] = []
    while len(found) < wanted:
        selection = select(query, now=now, limit=_SEARCHED)
        parameters = {**selection.parameters, "text": query.text.encode()}
        rows = await reader.fetch(_SEARCH.format(selection=selection.sql), parameters)
        found += [row for row in rows if row[_CONTENT] is not None]
        if len(rows) < _SEARCHED:
            break
        query = replace(query, after=rows[-1][_ID])
    return found[:wanted]
