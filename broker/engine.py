"""The broker itself: the one way from a transport to the storage.

Every operation takes the same steps: spend, permit, intercept, storage, wake waiters, observe.
What reaches the storage is finished even when the client goes away, and what was leased for
a client that is gone is given back.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager

from broker.auth import Action, Credentials, Identity
from broker.context import Clock
from broker.errors import (
    BrokerError,
    FieldError,
    Invalid,
    MessageNotFound,
    StorageFailed,
)
from broker.health import Health
from broker.http import Request, Route
from broker.isolation import Failures
from broker.meter import Measurement, Meter
from broker.models import (
    Deliveries,
    Delivery,
    Draft,
    Message,
    MessageQuery,
    Page,
    PublishResult,
    Settled,
    SettleResult,
)
from broker.operations.browsing import Browsing
from broker.operations.checking import check_message_id
from broker.operations.consuming import Consuming, Consumption
from broker.operations.gate import Gate
from broker.operations.guarding import GuardedStorage
from broker.operations.instruments import Instruments
from broker.operations.intercepting import Interceptors
from broker.operations.known_queues import KnownQueues
from broker.operations.leasing import Leasing
from broker.operations.maintenance import maintained, watched
from broker.operations.observing import Observers
from broker.operations.pace import Pace
from broker.operations.places import stream_places, waiting_places
from broker.operations.publishing import Publishing
from broker.operations.queues import Queues
from broker.operations.runtime import Runtime
from broker.operations.settling import Settling, refusal
from broker.operations.streams import Streams
from broker.operations.tasks import Tasks
from broker.operations.unsettled import Holders
from broker.operations.waiting import Waiting
from broker.origins import check_page
from broker.providers import Providers
from broker.ratelimit import Spending
from broker.receipts import Receipt, Settlement
from broker.status import BrokerInfo, Rates, Served
from broker.storage import Storage
from broker.stream import Recheck
from broker.turn import CURRENT_TURN, Turns


class Broker:
    """The engine that every transport calls."""

    def __init__(
        self,
        providers: Providers,
        *,
        clock: Clock,
        info: BrokerInfo,
        max_queues: int,
        max_requests: int,
        max_waiting: int,
        max_waiting_per_identity: int,
        max_streams: int,
        max_streams_per_identity: int,
        anonymous: bool = False,
        require_receipt: bool = False,
        meter: Meter | None = None,
        trace: Callable[[str, Storage], Storage] | None = None,
    ) -> None:
        self.clock = clock
        """The time, of which there is no other here."""
        self.info = info
        """What it was assembled from."""
        self.routes: tuple[Route, ...] = ()
        """What its transports serve; none before they are mounted."""
        self.meter = meter or Meter()
        """What the engine registers its numbers with, and all plugins theirs."""
        self.served = Served(self.meter)
        """What it answered since the start."""
        self.turns = Turns(max_requests)
        """The requests in flight."""
        self.require_receipt = require_receipt
        """Whether a lease can be settled by its receipt only."""
        self.retiring = False
        """Whether the broker drains, or is about to."""
        self.health = Health(clock)
        """How its parts are."""
        for name, provider in providers.in_order():
            self.health.add(name, provider)
        self.failures = Failures(clock)
        """How often plugins failed, by plugin and what it failed to do."""
        instruments = Instruments(self.meter)
        storage_name, storage = providers.storage
        guarded = GuardedStorage(storage_name, storage, self.failures)
        storage = guarded if trace is None else trace(storage_name, guarded)
        self._gate = Gate(
            authenticators=providers.authenticators,
            authorizer=providers.authorizer,
            limiter=providers.limiter,
            anonymous=anonymous,
            failures=self.failures,
            rejected=instruments.rejected,
            credentials_refused=instruments.credentials_refused,
        )
        self._runtime = Runtime(
            storage_name=storage_name,
            storage=storage,
            gate=self._gate,
            observers=Observers(providers.observers, self.failures),
            tasks=Tasks(),
            waiting=Waiting(clock),
            holders=Holders(),
            queues=KnownQueues(storage, clock),
            instruments=instruments,
            clock=clock,
        )
        self.queues = Queues(self._runtime, most=max_queues)
        """What makes, changes, lists and empties queues."""
        self._browsing = Browsing(self._runtime)
        self._publishing = Publishing(
            self._runtime, Interceptors(providers.interceptors, self.failures)
        )
        places = waiting_places(max_waiting, max_waiting_per_identity)
        self._leasing = Leasing(self._runtime, places)
        self._consumption = Consumption(self._runtime)
        self.streams = Streams(
            clock,
            stream_places(max_streams, max_streams_per_identity),
            self._runtime.tasks,
            self.failures,
        )
        """What keeps the answers that go on."""
        self._pace = Pace(self.queues.overview, self.served, clock)
        instruments.show(
            served=self.served,
            turns=self.turns,
            waiting=places,
            streams=self.streams,
            failures=self.failures,
        )
        self._settling = Settling(self._runtime, self._publishing)

    @property
    def draining(self) -> bool:
        """Whether the broker is on its way down: nothing waits any more."""
        return self._runtime.waiting.closed

    @property
    def challenge(self) -> str:
        """What `WWW-Authenticate` says to who shows no credentials."""
        return self._gate.challenge

    async def identify(self, credentials: Credentials | None, *, peer: str = "") -> Identity:
        """Return who asks; raises Unauthenticated."""
        identity = await self._gate.identify(credentials, peer=peer)
        turn = CURRENT_TURN.get()
        if turn is not None:
            turn.identity = identity.subject
        return identity

    async def identify_request(self, request: Request) -> Identity:
        """Return who sent a request: by its header Authorization or, without one, by what an
        authenticator reads elsewhere in it; raises Unauthenticated, or CrossSite if nobody but a
        page of another origin did."""
        identity = await self.identify(self._gate.read(request), peer=request.peer)
        if identity.is_anonymous:
            check_page(request)
        return identity

    async def spend(self, spending: Spending) -> None:
        """Take from an allowance, for what a transport does that is none of the operations below;
        raises RateLimited."""
        await self._gate.take([spending])

    def demand_admin(self, identity: Identity) -> None:
        """Raise Forbidden unless the identity may see and do what concerns no single queue."""
        self._gate.permit(identity, "admin", None)

    def permit(self, identity: Identity, action: Action, queue: str) -> None:
        """Raise Forbidden unless the identity may do that, or QueueNotFound if it may not even see
        the queue; for what a transport does that is none of the operations below."""
        self._gate.permit(identity, action, queue)

    def permits(self, identity: Identity, action: Action, queue: str) -> bool:
        """Tell whether the identity may do that with a queue."""
        return self._gate.permits(identity, action, queue)

    def permit_some(self, identity: Identity, action: Action) -> None:
        """Raise Forbidden if there can be no queue with which the identity may do that; for what
        a transport does with all queues of which it may be done."""
        self._gate.permit_some(identity, action)

    def wake(self, queue: str, count: int | None = None) -> None:
        """Wake so many of those who wait for messages in a queue, None for all: another process
        brought some, or freed some."""
        if count is None:
            self._runtime.waiting.wake_line(queue)
        else:
            self._runtime.waiting.wake(queue, count)

    async def publish(self, identity: Identity, drafts: Sequence[Draft]) -> list[PublishResult]:
        """Publish all or nothing; it is durable when this returns.

        Raises QueueNotFound, Forbidden, RateLimited, MessageTooLarge, Rejected, QueueFull,
        StorageFull.
        """
        return await self._publishing.publish(identity, drafts)

    async def lease(
        self,
        identity: Identity,
        queue: str,
        *,
        limit: int = 1,
        wait: float = 0,
        lease_seconds: int | None = None,
        recheck: Recheck | None = None,
    ) -> Deliveries:
        """Lease up to `limit` messages; with none there, wait for one up to `wait` seconds.

        `lease_seconds` None: the queue's own. `recheck` returns who asks, or raises, and is called
        after each wait, every 5 s at least: who waits can lose the right to get anything. Raises
        QueueNotFound, Forbidden, RateLimited; and before a wait TooManyWaiting, Overloaded.
        """
        return await self._leasing.lease(
            identity,
            queue,
            limit=limit,
            wait=wait,
            lease_seconds=lease_seconds,
            recheck=recheck,
        )

    async def give_back(self, deliveries: Sequence[Delivery]) -> None:
        """Release what was leased for a client that is gone, as if it had not been delivered."""
        await self._leasing.give_back(deliveries)

    async def consume(
        self,
        identity: Identity,
        queue: str,
        *,
        prefetch: int = 16,
        lease_seconds: int | None = None,
    ) -> Consuming:
        """Return what leases messages as they are settled, at most `prefetch` at one time; close
        it, whatever happens.

        `lease_seconds` None: the queue's own. Raises QueueNotFound, Forbidden, RateLimited.
        """
        return await self._consumption.begin(
            identity, queue, prefetch=prefetch, lease_seconds=lease_seconds
        )

    async def settle(
        self,
        identity: Identity,
        settlements: Sequence[Settlement],
        *,
        publish: Sequence[Draft] = (),
    ) -> Settled:
        """End or change leases, one result each; with `publish`, all or nothing."""
        return await self._settling.settle(identity, settlements, publish)

    async def settle_one(self, identity: Identity, settlement: Settlement) -> SettleResult:
        """Settle one lease; raises MessageNotFound, LeaseLost or WrongState when it was not ok."""
        settled = await self._settling.settle(identity, [settlement], ())
        [result] = settled.results
        if result.outcome != "ok":
            raise refusal(result)
        return result

    async def unfenced(self, identity: Identity, message_id: int) -> Receipt:
        """Return a receipt for whatever lease a message has; raises MessageNotFound, Invalid.

        Who settles by it pays then, as with any other receipt; asking for nothing is paid here.
        """
        check_message_id(message_id)
        if self.require_receipt:
            raise Invalid([FieldError("receipt", "is required by this broker")])
        try:
            message = await self._find(identity, message_id)
        except MessageNotFound:
            await self._gate.spend(identity, "settle", None)
            raise
        return Receipt(None, message.id, message.delivery_count, message.queue)

    async def browse(self, identity: Identity, query: MessageQuery) -> Page:
        """Look at a queue's messages without changing anything."""
        return await self._browsing.browse(identity, query)

    async def browse_each(
        self, identity: Identity, queries: Sequence[MessageQuery]
    ) -> list[Page | BrokerError]:
        """Look at the messages of queues, one answer a query: what `browse` returns, or raises.

        The bodies of all pages together are bounded, as `Storage.browse_each` says. It costs the
        storage one call, however many queries there are, and one to find out about queues of
        which the broker knows nothing yet.
        """
        return await self._browsing.browse_each(identity, queries)

    async def get_message(self, identity: Identity, message_id: int) -> Message:
        """Look at one message; raises MessageNotFound."""
        check_message_id(message_id)
        await self._gate.spend(identity, "read", None)
        message = await self._find(identity, message_id)
        self._gate.permit(identity, "read", message.queue)
        return message

    async def get_messages(self, identity: Identity, ids: Sequence[int]) -> Page:
        """Look at messages that the identity may consume where they are now; of those that are not
        there, and of those that it may not, it gets none.

        The bodies of a page are bounded as those of `Storage.browse`: if it has an `after`, those
        with greater ids are to be asked for anew.
        """
        await self._gate.spend(identity, "read", None)
        query = MessageQuery(ids=tuple(ids), limit=len(ids))
        page = await self._runtime.storage.browse(query, now=self.clock.now())
        messages = [m for m in page.messages if self._gate.permits(identity, "consume", m.queue)]
        return Page(messages, page.after)

    async def delete_message(self, identity: Identity, message_id: int) -> None:
        """Remove one message, leased or not; raises MessageNotFound."""
        check_message_id(message_id)
        await self._gate.spend(identity, "manage", None)
        message = await self._find(identity, message_id)
        self._gate.permit(identity, "manage", message.queue)
        await self._runtime.tasks.finish(self._delete(identity, message))

    async def check(self) -> dict[str, str | None]:
        """Return what is wrong with each provider, by plugin, None for nothing; at most a second
        old."""
        return await self.health.check()

    async def why_unready(self) -> str | None:
        """Return why requests should be sent elsewhere, None if they need not be."""
        if self.retiring:
            return "draining"
        return "not working now" if any((await self.check()).values()) else None

    def rates(self) -> Rates:
        """Return how fast it goes, on all brokers that share the storage, but for the requests; a
        sample is taken every ten seconds, so no call of this costs the storage anything."""
        return self._pace.rates()

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Do the upkeep and tell the observers while the block runs; at its end, drain and finish
        what was begun."""
        runtime = self._runtime
        async with runtime.observers.listening():
            async with (
                watched(runtime),
                maintained(runtime, self.health.turn),
                self.streams.kept(),
                self._pace.kept(),
            ):
                try:
                    yield
                finally:
                    self.drain()
            await runtime.tasks.close()

    def measure(self) -> Iterator[Measurement]:
        """Yield what all instruments show, those of plugins too; which of them fails is left out,
        and counted among the failures."""
        return self.meter.read(self.failures.note)

    async def failure(self) -> StorageFailed:
        """Return with what the storage said, once it gives up; what serves the broker ends then."""
        return await self._runtime.tasks.failure.wait()

    def retire(self) -> None:
        """Have `/readyz` say from now on that others should be asked; all else goes on."""
        self.retiring = True

    def drain(self) -> None:
        """End all long-polls and streams, now and from now on; everything else goes on working."""
        self.retire()
        self._runtime.waiting.close()
        self.streams.close()

    async def _delete(self, identity: Identity, message: Message) -> None:
        runtime = self._runtime
        # Where it was a moment ago: it may have moved to a queue that others manage.
        query = MessageQuery(ids=(message.id,), queue=message.queue)
        if not await runtime.storage.bulk(query, "delete", now=self.clock.now(), limit=1):
            raise MessageNotFound(message.id)
        runtime.holders.remove(message.id)
        runtime.waiting.wake(message.queue)
        runtime.observe_messages(identity, "message.deleted", None, [(message.queue, message.id)])

    async def _find(self, identity: Identity, message_id: int) -> Message:
        query = MessageQuery(ids=(message_id,))
        page = await self._runtime.storage.browse(query, now=self.clock.now())
        if not page.messages or not self._gate.sees(identity, page.messages[0].queue):
            raise MessageNotFound(message_id)
        return page.messages[0]
