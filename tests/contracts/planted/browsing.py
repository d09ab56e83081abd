"""Storages that lose or repeat something when they are looked into several times at once."""

from collections.abc import Sequence

from broker import MessageQuery, Page
from broker.builtin.memory import MemoryStorage
from broker_storage_sqlite.storage import SQLiteStorage


class GivesEachPageABudgetOfItsOwn(SQLiteStorage):
    async def browse_each(self, queries: Sequence[MessageQuery], *, now: int) -> list[Page]:
        return [await self.browse(query, now=now) for query in queries]


class EndsWhatItDidNotLookFor(MemoryStorage):
    async def browse_each(self, queries: Sequence[MessageQuery], *, now: int) -> list[Page]:
        pages = await super().browse_each(queries, now=now)
        return [page if page.messages else Page([]) for page in pages]


class BeginsAgainWithWhatItDidNotLookFor(MemoryStorage):
    async def browse_each(self, queries: Sequence[MessageQuery], *, now: int) -> list[Page]:
        pages = await super().browse_each(queries, now=now)
        return [Page([], page.after and 0) if not page.messages else page for page in pages]


class GoesOnAfterWhatItLeftOut(SQLiteStorage):
    """It cuts pages, and leaves their ends as they were."""

    async def browse_each(self, queries: Sequence[MessageQuery], *, now: int) -> list[Page]:
        pages = await super().browse_each(queries, now=now)
        uncut = [await self.browse(query, now=now) for query in queries]
        return [Page(page.messages, whole.after) for page, whole in zip(pages, uncut, strict=True)]


class GivesOnePageForEachQueue(MemoryStorage):
    """As if nobody looked twice into one queue."""

    async def browse_each(self, queries: Sequence[MessageQuery], *, now: int) -> list[Page]:
        by_queue = {query.queue: await self.browse(query, now=now) for query in queries}
        return [by_queue[query.queue] for query in queries]


class ReadsThePagesOfLongQueuesLast(MemoryStorage):
    async def browse_each(self, queries: Sequence[MessageQuery], *, now: int) -> list[Page]:
        pages = await super().browse_each(queries, now=now)
        return sorted(pages, key=lambda page: len(page.messages))


class SearchesFromTheBeginningAgain(SQLiteStorage):
    async def browse_each(self, queries: Sequence[MessageQuery], *, now: int) -> list[Page]:
        pages = await super().browse_each(queries, now=now)
        pairs = zip(queries, pages, strict=True)
        return [
            page if page.messages or query.text is None else Page([], 0) for query, page in pairs
        ]
