"""Browsing: pages of messages, read without the writer."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from functools import partial
from typing import Any

import msgspec
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
WHERE m.id IN (SELECT id FROM summed WHERE before < :room) ORDER BY m.id
"""
_HITS = """
SELECT id, instr(content, :text) > 0 FROM messages WHERE id IN ({selection}) ORDER BY id
"""

Rows = list[tuple[Any, ...]]


class _Look(msgspec.Struct, frozen=True):
    """A page that one statement can read: what a search found is named by ids."""

    query: MessageQuery
    rest: int | None = None
    """The last of what a search found for the page, if it found more."""

    def statement(self, room: int, now: int) -> tuple[str, dict[str, Any]]:
        """Return what reads as many rows as have room."""
        # One more than the page holds, to find out whether anything follows.
        selection = select(self.query, now=now, limit=self.query.limit + 1)
        return _PAGE.format(selection=selection.sql), {**selection.parameters, "room": room}

    def page(self, rows: Rows, now: int) -> Page:
        """Return what the statement read."""
        messages = [message_of(row, row[-2], now) for row in rows[: self.query.limit]]
        is_last = not messages or messages[-1].id == rows[0][-1]
        return Page(messages, self.rest if is_last else messages[-1].id)


async def browse(reader: Reader, query: MessageQuery, now: int) -> Page:
    """Return a page; its `after` is None exactly if nothing follows."""
    look = await _prepare(reader, query, now)
    return look.page(await reader.fetch(*look.statement(limits.MAX_BATCH_BYTES, now)), now)


async def browse_each(reader: Reader, queries: Sequence[MessageQuery], now: int) -> list[Page]:
    """Return a page for each query, all of them read in one turn of the reader."""
    looks = [await _prepare(reader, query, now) for query in queries]
    return await reader.run(partial(_read_each, looks, now))


async def _prepare(reader: Reader, query: MessageQuery, now: int) -> _Look:
    """Find the ids first if text is searched: bodies that are on no page are never held."""
    if query.text is None:
        return _Look(query)
    hits: list[int] = []
    after = query.after
    while len(hits) <= query.limit:
        selection = select(replace(query, after=after), now=now, limit=_SEARCHED)
        parameters = {**selection.parameters, "text": query.text.encode()}
        rows = await reader.fetch(_HITS.format(selection=selection.sql), parameters)
        hits += [message_id for message_id, is_hit in rows if is_hit]
        if len(rows) < _SEARCHED:
            break
        after = rows[-1][0]
    ids = tuple(hits[: query.limit])
    rest = ids[-1] if ids and len(hits) > len(ids) else None
    return _Look(MessageQuery(ids=ids, after=query.after, limit=query.limit), rest)


def _read_each(looks: Sequence[_Look], now: int, sql: sqlite3.Connection) -> list[Page]:
    pages: list[Page] = []
    room = limits.MAX_BATCH_BYTES
    for look in looks:
        page = Page([], look.query.after)
        if room > 0:
            page = look.page(sql.execute(*look.statement(room, now)).fetchall(), now)
            room -= sum(len(message.body) for message in page.messages)
        pages.append(page)
    return pages
