"""Consuming without end: leasing as leases are settled, no more of them than were asked for."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence

from broker.auth import Identity
from broker.budget import Budget, Share, whose_identity
from broker.context import Timer
from broker.errors import Overloaded, QueueNotFound
from broker.limits import MAX_LEASE_MESSAGES
from broker.models import Delivery, Lease, Message, Settle
from broker.operations.checking import check_consume
from broker.operations.leasing import deliver, recheck_ms, release, release_of, take
from broker.operations.prepaying import Prepaid
from broker.operations.runtime import Runtime
from broker.operations.unsettled import Unsettled
from broker.operations.waiting import Seat

PIECE_BYTES = 64 * 1024
"""How much is given to be sent at a time, and about how much is leased at a time."""

FIRST_BYTES = 4 * 1024
"""How large messages are taken to be before one was seen."""

MAX_UNSENT_BYTES = 128 * 1024 * 1024
"""How much of what is leased and not sent yet is in memory for all consumers, but for a piece of
each. A message counts twice: as it is, and as it is written to be sent."""

FULL_MS = 1_000
"""After how long is tried again whether there is memory."""


class Consumption:
    """Begins the consuming of a broker's clients."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._memory = Budget(MAX_UNSENT_BYTES, "too many large messages wait to be sent")

    async def begin(
        self, identity: Identity, queue: str, *, prefetch: int, lease_seconds: int | None
    ) -> Consuming:
        """Return what consumes, which has leased nothing yet."""
        check_consume(queue, prefetch, lease_seconds)
        gate = self._runtime.gate
        await gate.spend(identity, "consume", queue)
        gate.permit(identity, "consume", queue)
        await self._runtime.queues.policy(queue)  # raises QueueNotFound
        return Consuming(
            self._runtime,
            identity,
            queue,
            prefetch=prefetch,
            lease_seconds=lease_seconds,
            prepaid=Prepaid(gate, queue, paid=1),
            memory=Share(self._memory, whose_identity(identity)),
        )


class Consuming:
    """What one client consumes of one queue, until it is closed.

    Use: `listen`; then `fetch` and `take`, again and again: as soon as what was taken is sent, or
    when whoever listens is woken, if that was nothing; `close` in any case. It stands in line with
    the long-polls of its queue, but only while it has room for a message.
    """

    def __init__(
        self,
        runtime: Runtime,
        identity: Identity,
        queue: str,
        *,
        prefetch: int,
        lease_seconds: int | None,
        prepaid: Prepaid,
        memory: Share,
    ) -> None:
        self.identity = identity
        """Who consumes; `admit` changes it."""
        self.queue = queue
        """The name of the queue."""
        self._runtime = runtime
        self._prefetch = prefetch
        self._lease_seconds = lease_seconds
        self._prepaid = prepaid
        self._memory = memory
        self._recheck_ms = recheck_ms(runtime)
        self._unsettled = Unsettled(queue, runtime.holders, runtime.storage, runtime.clock)
        self._unsent: deque[Delivery] = deque()
        self._typical_bytes = FIRST_BYTES
        self._seat: Seat | None = None
        self._recheck_at = 0
        self._paused_until = 0
        self._timer: Timer | None = None
        self._wake: Callable[[], None] = _tell_nobody
        self._is_closed = False

    @property
    def unsettled(self) -> int:
        """How many messages are leased and neither settled nor lapsed."""
        return self._unsettled.count()

    def listen(self, wake: Callable[[], None]) -> None:
        """Have `wake` called whenever there may be something to take."""
        self._wake = self._unsettled.changed = wake

    def admit(self, identity: Identity) -> None:
        """Go on for an identity as it is now; raises Forbidden, or QueueNotFound."""
        self._runtime.gate.permit(identity, "consume", self.queue)
        self.identity = identity

    async def fetch(self) -> None:
        """Lease what there is to take, unless there is some left. If there is nothing, see to it
        that whoever listens is woken when there may be.

        Raises QueueNotFound when the queue is gone.
        """
        self._forget_lapsed()
        if self._unsent or self._is_closed:
            return
        self._memory.give_back()  # what was taken before is sent
        self._rest()
        if self._runtime.waiting.closed:
            return
        await self._unsettled.look()
        room = self._prefetch - self._unsettled.count()
        if room <= 0 or self._is_paused():
            self._leave()
        elif self._has_reason():
            await self._look_for_work(room)
        if not self._unsent and not self._is_closed:
            self._wake_in_time(is_full=room <= 0)

    def take(self) -> list[Delivery]:
        """Return messages to be sent, about 64 KiB or a larger one; none if none were fetched."""
        piece: list[Delivery] = []
        size = 0
        while self._unsent:
            size += _size(self._unsent[0].message)
            if piece and size > PIECE_BYTES:
                break
            piece.append(self._unsent.popleft())
        return piece

    async def close(self, *, keep: bool = False) -> None:
        """Take nothing more and release what is unsettled; with `keep`, only what was not taken."""
        if self._is_closed:
            return
        self._is_closed = True
        self._rest()
        self._leave()
        self._memory.give_back()
        unsent = frozenset(delivery.message.id for delivery in self._unsent)
        self._unsent.clear()
        releases = self._unsettled.end(only=unsent if keep else None)
        if releases:
            await self._runtime.tasks.finish(self._give_back(releases))

    def _forget_lapsed(self) -> None:
        """Do not send what can be settled no more, because those before it were taken so slowly."""
        held = self._unsettled.ids()
        self._unsent = deque(one for one in self._unsent if one.message.id in held)

    def _has_reason(self) -> bool:
        seat = self._seat
        if seat is None or seat.called:
            return True
        now = self._runtime.clock.now()
        if now < self._recheck_at:
            return False
        self._recheck_at = now + self._recheck_ms
        return self._runtime.waiting.is_first(seat)

    async def _look_for_work(self, room: int) -> None:
        runtime = self._runtime
        seat = self._seat
        if seat is None:
            seat = self._seat = runtime.waiting.seat(self.queue, self._wake)
            seat.enter()
        seat.look()
        self._recheck_at = runtime.clock.now() + self._recheck_ms
        limit = await self._prepaid.get(self.identity, self._limit(room))
        if limit:
            try:
                await runtime.tasks.finish(self._lease(limit))
            except QueueNotFound:
                self._runtime.queues.forget(self.queue)
                raise
        else:
            self._pause(self._prepaid.pause_ms)
        seat.served = bool(self._unsent)
        if self._unsent or self._is_paused():
            self._leave()

    def _limit(self, room: int) -> int:
        """Return how many messages to lease at once: about a piece, and no more of many than what
        leaves some for others who stream from this queue."""
        fair = MAX_LEASE_MESSAGES // self._runtime.holders.count(self.queue)
        return min(room, max(1, fair), max(1, PIECE_BYTES // self._typical_bytes))

    async def _lease(self, limit: int) -> None:
        runtime, identity = self._runtime, self.identity
        policy = await self._runtime.queues.policy(self.queue)
        now = runtime.clock.now()
        lease_seconds = self._lease_seconds or policy.lease_seconds
        result = await take(
            runtime,
            self.queue,
            limit=limit,
            lease_until=now + 1000 * lease_seconds,
            owner=identity.subject,
            now=now,
        )
        if not result.leases:
            return
        if self._is_closed or not self._has_memory(result.leases):
            await release(runtime, [release_of(lease) for lease in result.leases])
            return
        self._unsettled.keep(result.leases)
        self._unsent.extend(deliver(result))
        self._prepaid.use(len(result.leases))
        runtime.observe_messages(
            identity,
            "message.leased",
            "processing",
            ((self.queue, lease.message.id) for lease in result.leases),
        )

    def _has_memory(self, leases: Sequence[Lease]) -> bool:
        sizes = [_size(lease.message) for lease in leases]
        self._typical_bytes = max(1, sum(sizes) // len(sizes))
        try:
            self._memory.hold(2 * (sum(sizes) - PIECE_BYTES))
        except Overloaded:
            self._typical_bytes = max(sizes)
            self._pause(FULL_MS)
            return False
        return True

    async def _give_back(self, releases: Sequence[Settle]) -> None:
        released = await release(self._runtime, releases)
        self._runtime.observe_messages(
            self.identity, "message.released", "pending", ((op.queue, op.id) for op in released)
        )

    def _pause(self, milliseconds: int) -> None:
        self._paused_until = self._runtime.clock.now() + milliseconds

    def _is_paused(self) -> bool:
        return self._runtime.clock.now() < self._paused_until

    def _wake_in_time(self, *, is_full: bool) -> None:
        times = [self._unsettled.due]
        if self._seat is not None:
            times.append(self._recheck_at)
        elif not is_full:
            times.append(self._paused_until)
        when = min(times)
        if when < math.inf:
            self._timer = self._runtime.clock.call_at(int(when), self._wake)

    def _rest(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _leave(self) -> None:
        if self._seat is not None:
            self._seat.leave()
            self._seat = None


def _size(message: Message) -> int:
    headers = message.headers
    return len(message.body) + sum(len(name) + len(headers[name]) for name in headers)


def _tell_nobody() -> None:
    """Nobody listens yet."""
