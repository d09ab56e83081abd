"""Leasing: taking messages, waiting for them, giving back what nobody is left to take."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from broker.auth import Identity
from broker.errors import QueueNotFound
from broker.models import Deliveries, Delivery, Lease, LeaseResult, Settle
from broker.operations.checking import check_lease
from broker.operations.places import Places
from broker.operations.runtime import BROKER, Runtime
from broker.receipts import Receipt, read_receipt, write_receipt
from broker.stream import Recheck
from broker.turn import resting

RECHECK_MS = 5_000
"""Who waits looks again this often, for work that no wake-up told of."""

SHARED_RECHECK_MS = 1_000
"""The same, when other processes publish and the storage cannot tell."""


class Leasing:
    """Takes leases for consumers, and owns them until they are delivered."""

    def __init__(self, runtime: Runtime, places: Places) -> None:
        self._runtime = runtime
        self._places = places
        self._recheck_ms = recheck_ms(runtime)

    async def lease(
        self,
        identity: Identity,
        queue: str,
        *,
        limit: int,
        wait: float,
        lease_seconds: int | None,
        recheck: Recheck | None,
    ) -> Deliveries:
        """Lease up to `limit` messages; with none there, wait for one up to `wait` seconds."""
        check_lease(queue, limit, wait, lease_seconds)
        runtime = self._runtime
        await runtime.gate.spend(identity, "consume", queue, limit)
        runtime.gate.permit(identity, "consume", queue)
        policy = await self._runtime.queues.policy(queue)
        lease_ms = 1000 * (policy.lease_seconds if lease_seconds is None else lease_seconds)
        if wait > 0:
            deadline = runtime.clock.now() + int(wait * 1000)
            result = await self._wait(
                identity, queue, limit, lease_ms, deadline=deadline, recheck=recheck
            )
        else:
            result = await self._take(identity, queue, limit, lease_ms)
        runtime.observe_messages(
            identity,
            "message.leased",
            "processing",
            ((lease.message.queue, lease.message.id) for lease in result.leases),
        )
        return Deliveries(deliver(result), paused=result.paused)

    async def give_back(self, deliveries: Sequence[Delivery]) -> None:
        """Release what was leased for a client that is gone, as if it had not been delivered."""
        if deliveries:
            await self._runtime.tasks.finish(self._release(deliveries))

    async def _wait(
        self,
        identity: Identity,
        queue: str,
        limit: int,
        lease_ms: int,
        *,
        deadline: int,
        recheck: Recheck | None,
    ) -> LeaseResult:
        waiting, clock = self._runtime.waiting, self._runtime.clock
        with waiting.seat(queue) as seat, self._places.place(identity) as place:
            while True:
                seat.look()
                result = await self._take(identity, queue, limit, lease_ms)
                now = clock.now()
                if result.leases or now >= deadline or waiting.closed:
                    seat.served = bool(result.leases)
                    return result
                place.take()
                has_reason = False
                while not has_reason:
                    with resting():
                        await seat.wait(min(deadline, clock.now() + self._recheck_ms))
                    if recheck is not None:
                        identity = await recheck()
                        self._runtime.gate.permit(identity, "consume", queue)
                    has_reason = seat.has_reason(deadline)

    async def _take(self, identity: Identity, queue: str, limit: int, lease_ms: int) -> LeaseResult:
        now = self._runtime.clock.now()
        task = self._runtime.tasks.start(
            take(
                self._runtime,
                queue,
                limit=limit,
                lease_until=now + lease_ms,
                owner=identity.subject,
                now=now,
            )
        )
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            self._runtime.tasks.start(self._return_late(task))
            raise
        except QueueNotFound:
            self._runtime.queues.forget(queue)
            raise

    async def _return_late(self, task: asyncio.Task[LeaseResult]) -> None:
        [result] = await asyncio.gather(task, return_exceptions=True)
        if isinstance(result, LeaseResult) and result.leases:
            await release(self._runtime, [release_of(lease) for lease in result.leases])

    async def _release(self, deliveries: Sequence[Delivery]) -> None:
        receipts = [read_receipt(delivery.receipt) for delivery in deliveries]
        released = await release(
            self._runtime,
            [
                Settle(
                    id=receipt.message_id, queue=receipt.queue, kind="release", token=receipt.token
                )
                for receipt in receipts
            ],
        )
        self._runtime.observe_messages(
            BROKER, "message.released", "pending", ((op.queue, op.id) for op in released)
        )


def recheck_ms(runtime: Runtime) -> int:
    """Return after how long to look again for work that no wake-up told of."""
    blind = "shared" in runtime.storage.capabilities and "watch" in runtime.missing
    return SHARED_RECHECK_MS if blind else RECHECK_MS


def release_of(lease: Lease) -> Settle:
    """Return what gives a lease back as if the message had not been delivered."""
    message = lease.message
    return Settle(id=message.id, queue=message.queue, kind="release", token=lease.token)


async def take(runtime: Runtime, queue: str, **options: Any) -> LeaseResult:
    """Lease as `Storage.lease` does; tell of what ended instead, and note when there is more."""
    result = await runtime.storage.lease(queue, **options)
    runtime.note_ended(BROKER, result.ended)
    runtime.waiting.expect(queue, result.next_visible_at)
    return result


async def release(runtime: Runtime, ops: Sequence[Settle]) -> list[Settle]:
    """Carry out releases and wake whom they leave work for; return those that had an effect."""
    settled = await runtime.storage.settle(ops, now=runtime.clock.now())
    done = [op for op, result in zip(ops, settled.results, strict=True) if result.outcome == "ok"]
    for op in done:
        runtime.waiting.wake(op.queue)
    return done


def deliver(result: LeaseResult) -> list[Delivery]:
    """Return what was leased as its consumer gets it."""
    return [
        Delivery(
            lease.message,
            write_receipt(
                Receipt(
                    lease.token,
                    lease.message.id,
                    lease.message.delivery_count,
                    lease.message.queue,
                )
            ),
        )
        for lease in result.leases
    ]
