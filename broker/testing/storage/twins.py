"""A storage and the memory storage, called alike at the same times, whose answers must agree.

What may differ is written down here, and nowhere else:

- tokens, and ids as long as they grow in the same order: a refused batch may leave a gap;
- when a lapse is noticed, until somebody maintains: `totals.lapsed`, and the `updated_at` and
  `leased_by` of the message;
- how work is cut into rounds and pages: `maintain` and `browse` are called until they are done;
- the order in which one call tells of what ended, was deleted or redriven.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import zip_longest
from typing import Any, TypeAlias, TypeVar, cast

import msgspec
from msgspec.structs import replace

from broker.builtin.memory import MemoryStorage
from broker.errors import BrokerError
from broker.models import (
    BulkResult,
    Ended,
    Lease,
    LeaseResult,
    Maintenance,
    Message,
    MessageQuery,
    PublishResult,
    Queue,
    QueueStatus,
    Settled,
    SettleResult,
)
from broker.testing.storage.bench import Workbench

T = TypeVar("T")
Pair: TypeAlias = tuple[T, T]
"""The same thing in the model and in the storage under test."""

Operation: TypeAlias = Callable[[Workbench, int], Awaitable[T]]
"""What is done on a side: it gets the workbench, and its own place in a pair."""

ROUNDS = 1000
"""After so many calls, maintain or browse will never be done."""


class Refusal(msgspec.Struct, frozen=True):
    """An error as an answer."""

    kind: str
    text: str


class Ids:
    """How the storage numbers what the model numbers otherwise."""

    def __init__(self) -> None:
        self._known: dict[int, int] = {}

    def learn(self, model: int, store: int) -> None:
        """Take in that two ids name one thing, unless the model's is known already."""
        if model not in self._known:
            self._known[model] = store
            in_order = [self._known[known] for known in sorted(self._known)]
            assert in_order == sorted(set(in_order)), "ids grow, and are never used again"

    def __getitem__(self, model: int) -> int:
        return self._known.get(model, model)

    def pairs(self) -> list[Pair[int]]:
        """Return all that are known, oldest first."""
        return sorted(self._known.items())


class Twins:
    """Both storages. The model is never closed: it remembers what the other has to keep."""

    def __init__(self, store: Workbench) -> None:
        self.model = Workbench(MemoryStorage, store.clock)
        self.store = store
        self.queue_ids = Ids()
        self.message_ids = Ids()

    async def open(self) -> None:
        """Open both."""
        await self.model.__aenter__()
        await self.store.__aenter__()

    async def close(self) -> None:
        """Close both."""
        await self.store.__aexit__(None, None, None)
        await self.model.__aexit__(None, None, None)

    async def agree(self, operation: Operation[T], *, exact: bool = False) -> Pair[T] | None:
        """Do the same on both sides and demand equal answers; return them, None if both refused.

        `exact`: nothing has lapsed that was not noticed.
        """
        model = await _answer(operation(self.model, 0))
        store = await _answer(operation(self.store, 1))
        self._learn(model, store)
        expected = self._expect(model, store, exact=exact)
        assert store == expected
        return None if isinstance(model, Refusal) else (model, cast("T", store))

    async def look(self, *, exact: bool = False) -> list[tuple[QueueStatus, list[Message]]]:
        """Demand that all that both show is equal; return it as the model has it."""
        ids = [*zip(*self.message_ids.pairs(), strict=True)] or [(), ()]
        query = [MessageQuery(ids=side, limit=len(side) + 1) for side in ids]
        statuses = await self.agree(
            lambda bench, _: bench.storage.get_queues(limit=100, now=bench.now), exact=exact
        )
        messages = await self.agree(lambda bench, side: pages(bench, query[side]))
        assert statuses is not None
        assert messages is not None
        return [
            (status, [message for message in messages[0] if message.queue == status.queue.name])
            for status in statuses[0]
        ]

    def _learn(self, model: object, store: object) -> None:
        match model, store:
            case Queue(), Queue():
                self.queue_ids.learn(model.id, store.id)
            case PublishResult() | Message(), PublishResult() | Message():
                self.message_ids.learn(model.id, store.id)
            case Settled(), Settled():
                self._learn(model.published, store.published)
            case list(), list() if len(model) == len(store):
                for pair in zip(model, store, strict=True):
                    self._learn(*pair)

    def _expect(self, model: Any, store: Any, *, exact: bool) -> Any:
        """Return what the storage has to answer; what it may choose is as it chose."""
        match model:
            case list():
                found = store[: len(model)] if isinstance(store, list) else []
                pairs = zip_longest(model, found)
                return [self._expect(*pair, exact=exact) for pair in pairs]
            case LeaseResult() | Maintenance() | Settled():
                return self._expect_parts(model, store, exact=exact)
            case Lease():
                known = store if isinstance(store, Lease) else model
                return Lease(self._expect_message(model.message, known.message), known.token)
            case Message():
                return self._expect_message(model, store)
            case QueueStatus():
                return self._expect_status(model, store, exact=exact)
        return self._renumber(model)

    def _renumber(self, model: Any) -> Any:
        match model:
            case PublishResult() | SettleResult() | Ended() | BulkResult():
                return replace(model, id=self.message_ids[model.id])
            case Queue():
                return replace(model, id=self.queue_ids[model.id])
        return model

    def _expect_parts(self, model: Any, store: Any, *, exact: bool) -> Any:
        """Return what one call has to tell, of what ended in the order in which it tells it."""
        known = store if isinstance(store, type(model)) else model
        if isinstance(model, Settled):
            results = self._expect(model.results, known.results, exact=exact)
            published = self._expect(model.published, known.published, exact=exact)
            return Settled(results=results, published=published)
        place = {one.id: number for number, one in enumerate(known.ended)}
        expected = [self._renumber(one) for one in model.ended]
        ended = tuple(sorted(expected, key=lambda one: place.get(one.id, 0)))
        if isinstance(model, Maintenance):
            return replace(model, ended=ended)
        leases = self._expect(model.leases, known.leases, exact=exact)
        return replace(model, leases=leases, ended=ended)

    def _expect_message(self, model: Message, store: object) -> Message:
        is_lapsed = model.state == "pending" and model.leased_by is not None
        known = store if is_lapsed and isinstance(store, Message) else model
        return replace(
            model,
            id=self.message_ids[model.id],
            queue_id=self.queue_ids[model.queue_id],
            updated_at=known.updated_at,
            leased_by=known.leased_by,
        )

    def _expect_status(self, model: QueueStatus, store: object, *, exact: bool) -> QueueStatus:
        known = model if exact or not isinstance(store, QueueStatus) else store
        return replace(
            model,
            queue=self._renumber(model.queue),
            totals=replace(model.totals, lapsed=known.totals.lapsed),
        )


async def pages(bench: Workbench, query: MessageQuery) -> list[Message]:
    """Browse to the end."""
    found: list[Message] = []
    for _ in range(ROUNDS):
        page = await bench.storage.browse(query, now=bench.now)
        assert len(page.messages) <= query.limit
        found += page.messages
        if page.after is None:
            return found
        query = replace(query, after=page.after)
    raise AssertionError(f"browsing does not end: {query}")


async def maintain(bench: Workbench, *, limit: int) -> Maintenance:
    """Maintain until nothing is due; return what was done in all, but for the lapses."""
    ended: tuple[Ended, ...] = ()
    retired = 0
    for _ in range(ROUNDS):
        done = await bench.maintain(limit=limit)
        assert len(done.ended) + done.retired <= limit
        ended += done.ended
        retired += done.retired
        if done.next_due is None or done.next_due > bench.now:
            return Maintenance(ended=ended, retired=retired, next_due=done.next_due)
    raise AssertionError(f"maintenance is always due at once: {done}")


async def _answer(operation: Awaitable[T]) -> T | Refusal:
    try:
        return await operation
    except BrokerError as error:
        return Refusal(type(error).__name__, str(error))
