"""The storage as the operations have it: what breaks in it is its failure, whoever asked it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Literal, TypeVar

from broker.errors import BrokerError, PluginFailure
from broker.isolation import Failures, is_from_outside
from broker.models import (
    BulkResult,
    Ended,
    Lease,
    LeaseResult,
    Maintenance,
    Message,
    MessageQuery,
    NewMessage,
    Page,
    PublishResult,
    Queue,
    QueueSpec,
    QueueStatus,
    Settle,
    Settled,
    SettleResult,
)
from broker.storage import Capability, Storage

T = TypeVar("T")


class GuardedStorage(Storage):
    """Passes on what a storage answers if all of it is of the right kind, and as much as was asked
    for.

    Whatever else it raises than a BrokerError, SystemExit too, is a PluginFailure. What happened
    then to messages is as unknown as after any other answer that got lost.
    """

    def __init__(self, name: str, storage: Storage, failures: Failures) -> None:
        self._name = name
        self._storage = storage
        self._failures = failures

    @property
    def capabilities(self) -> frozenset[Capability]:  # type: ignore[override]  # no class's own
        """What the storage can do."""
        return self._storage.capabilities

    async def put_queue(self, spec: QueueSpec, *, expect: int | None, now: int) -> Queue:
        """Make a queue or change its policy."""
        return await self._ask("put_queue", Queue, spec, expect=expect, now=now)

    async def get_queues(
        self,
        *,
        names: Sequence[str] | None = None,
        prefix: str = "",
        after: str | None = None,
        limit: int = 100,
        now: int,
    ) -> list[QueueStatus]:
        """List queues."""
        asked = {"names": names, "prefix": prefix, "after": after, "limit": limit}
        return await self._ask_each("get_queues", QueueStatus, **asked, now=now)

    async def drop_queue(self, name: str) -> bool:
        """Delete a queue."""
        return await self._ask("drop_queue", bool, name)

    async def publish(self, batch: Sequence[NewMessage], *, now: int) -> list[PublishResult]:
        """Store the whole batch or nothing."""
        results = await self._ask_each("publish", PublishResult, batch, now=now)
        self._check("publish", len(results) == len(batch))
        return results

    async def lease(
        self, queue: str, *, limit: int, lease_until: int, owner: str, now: int
    ) -> LeaseResult:
        """Lease messages."""
        options = {"limit": limit, "lease_until": lease_until, "owner": owner, "now": now}
        result = await self._ask("lease", LeaseResult, queue, **options)
        self._check_each("lease", result.leases, Lease)
        self._check_each("lease", result.ended, Ended)
        return result

    async def settle(
        self, ops: Sequence[Settle], *, now: int, publish: Sequence[NewMessage] = ()
    ) -> Settled:
        """Carry out operations."""
        settled = await self._ask("settle", Settled, ops, now=now, publish=publish)
        self._check_each("settle", settled.results, SettleResult)
        self._check_each("settle", settled.published, PublishResult)
        self._check(
            "settle",
            len(settled.results) == len(ops) and len(settled.published) in (0, len(publish)),
        )
        return settled

    async def browse(self, query: MessageQuery, *, now: int) -> Page:
        """Look at messages."""
        page = await self._ask("browse", Page, query, now=now)
        self._check_each("browse", page.messages, Message)
        return page

    async def browse_each(self, queries: Sequence[MessageQuery], *, now: int) -> list[Page]:
        """Look several times."""
        pages = await self._ask_each("browse_each", Page, queries, now=now)
        self._check("browse_each", len(pages) == len(queries))
        for page in pages:
            self._check_each("browse_each", page.messages, Message)
        return pages

    async def bulk(
        self, query: MessageQuery, action: Literal["delete", "redrive"], *, now: int, limit: int
    ) -> list[BulkResult]:
        """Do `action` to messages."""
        return await self._ask_each("bulk", BulkResult, query, action, now=now, limit=limit)

    async def maintain(self, *, now: int, limit: int) -> Maintenance:
        """Do what time brings."""
        done = await self._ask("maintain", Maintenance, now=now, limit=limit)
        self._check_each("maintain", done.ended, Ended)
        return done

    async def watch(self) -> AsyncIterator[str]:
        """Yield names of queues with new work."""
        try:
            async for queue in self._storage.watch():
                yield queue
        except (BrokerError, GeneratorExit):
            raise
        except BaseException as error:
            if is_from_outside(error):
                raise
            raise self._failed("watch", error) from error

    async def _ask(self, operation: str, kind: type[T], *args: object, **options: object) -> T:
        try:
            answer = await getattr(self._storage, operation)(*args, **options)
        except BrokerError:
            raise
        except BaseException as error:
            if is_from_outside(error):
                raise
            raise self._failed(operation, error) from error
        if not isinstance(answer, kind):
            raise self._unlike(operation, answer, kind)
        return answer

    async def _ask_each(
        self, operation: str, kind: type[T], *args: object, **options: object
    ) -> list[T]:
        answers: list[T] = await self._ask(operation, list, *args, **options)
        self._check_each(operation, answers, kind)
        return answers

    def _check_each(self, operation: str, answers: Sequence[T], kind: type[T]) -> None:
        if not isinstance(answers, (list, tuple)):
            raise self._unlike(operation, answers, list)
        for answer in answers:
            if not isinstance(answer, kind):
                raise self._unlike(operation, answer, kind)

    def _check(self, operation: str, is_whole: bool) -> None:  # noqa: FBT001  # what is checked
        if not is_whole:
            raise self._unfit(operation, "it did not answer each of what it was asked")

    def _unlike(self, operation: str, answer: object, kind: type) -> PluginFailure:
        return self._unfit(operation, f"it answered {type(answer).__name__}, no {kind.__name__}")

    def _unfit(self, operation: str, problem: str) -> PluginFailure:
        return self._failed(operation, TypeError(problem))

    def _failed(self, operation: str, error: BaseException) -> PluginFailure:
        self._failures.note(self._name, operation, error)
        return PluginFailure(self._name, operation)
