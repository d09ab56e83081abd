"""Browsing: looking into queues without changing anything."""

from __future__ import annotations

from collections.abc import Sequence

from broker.auth import Identity
from broker.errors import BrokerError, QueueNotFound, Unsupported
from broker.models import MessageQuery, Page
from broker.operations.checking import check_browse
from broker.operations.runtime import Runtime


class Browsing:
    """Admits queries, each of one queue, and looks."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def browse(self, identity: Identity, query: MessageQuery) -> Page:
        """Look once."""
        self._check(query)
        name = _queue_of(query)
        await self._runtime.gate.spend(identity, "read", name)
        self._runtime.gate.permit(identity, "read", name)
        await self._runtime.queues.policy(name)  # raises QueueNotFound
        return await self._runtime.storage.browse(query, now=self._runtime.clock.now())

    async def browse_each(
        self, identity: Identity, queries: Sequence[MessageQuery]
    ) -> list[Page | BrokerError]:
        """Look several times, with one call of the storage, and one for the queues it must know."""
        refusals = await self._refuse_each(identity, queries)
        admitted = [q for q, refusal in zip(queries, refusals, strict=True) if refusal is None]
        pages: list[Page] = []
        if admitted:
            now = self._runtime.clock.now()
            pages = await self._runtime.storage.browse_each(admitted, now=now)
        page = iter(pages)
        return [refusal or next(page) for refusal in refusals]

    async def _refuse_each(
        self, identity: Identity, queries: Sequence[MessageQuery]
    ) -> list[BrokerError | None]:
        """Do for each query by itself what `browse` does before it looks."""
        names = [_queue_of(query) for query in queries]
        refusals = await self._runtime.gate.refuse_each(
            identity, "read", names, [self._refusal(query) for query in queries]
        )
        pairs = list(zip(names, refusals, strict=True))
        admitted = {name for name, refusal in pairs if refusal is None}
        existing = await self._runtime.queues.existing(admitted)
        return [
            refusal or (None if name in existing else QueueNotFound(name))
            for name, refusal in pairs
        ]

    def _refusal(self, query: MessageQuery) -> BrokerError | None:
        try:
            self._check(query)
        except BrokerError as error:
            return error
        return None

    def _check(self, query: MessageQuery) -> None:
        check_browse(query)
        if query.text is not None and "search" in self._runtime.missing:
            raise Unsupported(self._runtime.storage_name, "search", "q")


def _queue_of(query: MessageQuery) -> str:
    assert query.queue is not None, "check_browse demands it"
    return query.queue
