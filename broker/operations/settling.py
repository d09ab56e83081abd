"""Settling: ending or changing leases."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from broker.auth import Identity
from broker.errors import BrokerError, LeaseLost, MessageNotFound, QueueNotFound, WrongState
from broker.extend import Event, EventKind
from broker.models import (
    Draft,
    Ended,
    MessageQuery,
    NewMessage,
    QueuePolicy,
    Settle,
    Settled,
    SettleKind,
    SettleResult,
)
from broker.operations.checking import check_drafts, check_settlements
from broker.operations.publishing import Publishing
from broker.operations.runtime import Runtime
from broker.receipts import Settlement


class Settling:
    """Carries out settlements and wakes whom they free work for."""

    def __init__(self, runtime: Runtime, publishing: Publishing) -> None:
        self._runtime = runtime
        self._publishing = publishing

    async def settle(
        self, identity: Identity, settlements: Sequence[Settlement], publish: Sequence[Draft]
    ) -> Settled:
        """Settle each, or with `publish` all or nothing; one result a settlement."""
        check_settlements(settlements)
        if publish:
            check_drafts(publish, "publish")
        gate = self._runtime.gate
        queues = [settlement.receipt.queue for settlement in settlements]
        drafted = (draft.queue for draft in publish)
        await gate.spend_each(identity, ("settle", queues), ("publish", drafted))
        for queue in set(queues):
            gate.permit(identity, "consume", queue)
        ops = [await self._op(settlement) for settlement in settlements]
        batch = await self._publishing.admit(identity, publish) if publish else ()
        settled = await self._runtime.tasks.finish(self._store(identity, ops, batch))
        results = await self._veiled(identity, settled.results)
        return msgspec.structs.replace(settled, results=results)

    async def _veiled(self, identity: Identity, results: list[SettleResult]) -> list[SettleResult]:
        """Name no queue that the identity may not see, and no message in it.

        Nothing in a receipt is trusted: it can name an own queue, and any message.
        """
        gate = self._runtime.gate
        results = [
            result
            if result.queue is None or gate.sees(identity, result.queue)
            else msgspec.structs.replace(result, queue=None)
            for result in results
        ]
        stale = tuple(result.id for result in results if result.outcome == "stale")
        if not stale:
            return results
        query = MessageQuery(ids=stale, limit=len(stale))
        page = await self._runtime.storage.browse(query, now=self._runtime.clock.now())
        seen = {message.id for message in page.messages if gate.sees(identity, message.queue)}
        return [
            msgspec.structs.replace(result, outcome="not_found")
            if result.outcome == "stale" and result.id not in seen
            else result
            for result in results
        ]

    async def _op(self, settlement: Settlement) -> Settle:
        receipt = settlement.receipt
        visible_at = None
        if settlement.kind in ("retry", "extend"):
            seconds = await self._seconds(settlement)
            visible_at = self._runtime.clock.now() + int(1000 * seconds)
        return Settle(
            id=receipt.message_id,
            queue=receipt.queue,
            kind=settlement.kind,
            token=receipt.token,
            visible_at=visible_at,
            reason=settlement.reason,
        )

    async def _seconds(self, settlement: Settlement) -> float:
        given = settlement.delay if settlement.kind == "retry" else settlement.seconds
        if given is not None:
            return given
        try:
            policy = await self._runtime.queues.policy(settlement.receipt.queue)
        except QueueNotFound:
            return 0  # the storage will say that there is no such message
        if settlement.kind == "extend":
            return policy.lease_seconds
        return backoff(policy, settlement.receipt.delivery_count)

    async def _store(
        self, identity: Identity, ops: Sequence[Settle], batch: Sequence[NewMessage]
    ) -> Settled:
        runtime = self._runtime
        settled = await runtime.storage.settle(ops, now=runtime.clock.now(), publish=batch)
        pairs = list(zip(ops, settled.results, strict=True))
        done = [(op, result) for op, result in pairs if result.outcome == "ok"]
        if batch and len(done) < len(ops):
            return settled
        for op, result in done:
            runtime.holders.settle(op, result)
            # An ended lease can free the next of its group, or a place in max_in_flight.
            if op.kind != "extend":
                runtime.waiting.wake(op.queue)
        observers = runtime.observers
        observers.notify(
            [
                self._event(identity, op, result)
                for op, result in done
                if observers.want(_EVENT_KINDS[op.kind])
            ]
        )
        runtime.note_ended(identity, _failures(done))
        self._publishing.note(identity, batch, settled.published)
        return settled

    def _event(self, identity: Identity, op: Settle, result: SettleResult) -> Event:
        return self._runtime.event(
            identity,
            _EVENT_KINDS[op.kind],
            op.queue,
            message_id=op.id,
            state=result.state,
            moved_to=result.queue if result.queue != op.queue else None,
            reason=op.reason,
        )


_EVENT_KINDS: dict[SettleKind, EventKind] = {
    "ack": "message.acked",
    "retry": "message.retried",
    "release": "message.released",
    "reject": "message.rejected",
    "extend": "message.extended",
}


def _failures(done: Iterable[tuple[Settle, SettleResult]]) -> Iterator[Ended]:
    """Yield the ends that operations brought to messages."""
    for op, result in done:
        if result.reason is not None:
            moved_to = None if result.queue == op.queue else result.queue
            yield Ended(
                id=op.id, queue=op.queue, how="failed", reason=result.reason, moved_to=moved_to
            )


def refusal(result: SettleResult) -> BrokerError:
    """Return the error that says why a settlement was not ok."""
    if result.outcome == "not_found":
        return MessageNotFound(result.id)
    if result.outcome == "stale":
        return LeaseLost(f"message {result.id} is not under this lease any more")
    if result.outcome == "expired":
        return LeaseLost(f"the lease of message {result.id} is over; only an ack is still taken")
    return WrongState(f"message {result.id} is not leased")


def backoff(policy: QueuePolicy, delivery_count: int) -> float:
    """Return how many seconds a message waits after its n-th failed delivery."""
    doublings = min(max(delivery_count - 1, 0), 64)
    full = min(policy.retry_max, policy.retry_base * 2.0**doublings)
    return full * (1 - policy.jitter * random.random())
