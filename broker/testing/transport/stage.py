"""A broker around a transport, with all that the contract needs to see what the transport does."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from broker.assembly import assemble
from broker.auth import QUEUE_ACTIONS, Action, Identity
from broker.builtin.memory.storage import MemoryStorage
from broker.config import ServerConfig, make_config
from broker.engine import Broker
from broker.extend import EventKind, Transport
from broker.http import Route
from broker.models import Counts, Draft, QueueSpec
from broker.routing import RouteTable
from broker.testing.answer import Answer
from broker.testing.client import Client
from broker.testing.clock import ManualClock
from broker.testing.connection import turns
from broker.testing.exchange import Exchange
from broker.testing.transport.doubles import Doubles
from broker.testing.transport.probe import Probe

if TYPE_CHECKING:
    from broker.testing.transport import TransportContract

KIT = "kit"
TESTED = "tested"
"""The names of the plugins: that of the doubles, and that of the transport."""

ADMIN = Identity(subject="the kit", scopes=frozenset({"admin"}))

SUBJECT = "alice"
"""Who asks by `TOKEN`."""

TOKEN = "kit-token-of-alice-5b1e0c"  # noqa: S105  # nobody's but this test's
BAD_TOKEN = "kit-token-of-nobody-93ad7f"  # noqa: S105  # nobody's

MESSAGES = 3
"""How many are in the queue of a probe before it is sent."""


ENTRANCES = frozenset({"identify", "identify_request", "spend"})
"""What is asked of a broker before its operations."""

REACH_SECONDS = 10
"""How long is waited for what has to come, of real time."""


class Stage:
    """A running broker whose one transport is tested by one probe: `SUBJECT` may do what the probe
    needs, and nothing else."""

    def __init__(
        self,
        contract: TransportContract,
        tmp_path: Path,
        probe: Probe,
        *,
        doubles: Doubles | None = None,
        hot: bool = True,
        broker: Mapping[str, Any] | None = None,
    ) -> None:
        self.contract = contract
        self.probe = probe
        self.clock = ManualClock()
        self.before = Counts()
        """What the queue held before the probe was sent."""
        self.doubles = doubles or Doubles()
        self.client = contract.make_client(
            tmp_path, self.clock, self.doubles, hot=hot, broker=broker or {}
        )
        self.doubles.authenticator.subjects[TOKEN] = SUBJECT
        self.permit(probe.action)

    @property
    def broker(self) -> Broker:
        """The broker itself."""
        return self.client.broker

    @property
    def shutdown_seconds(self) -> float:
        """How long requests in flight may take to finish when the broker stops."""
        return ServerConfig().shutdown_seconds

    def route(self) -> Route | None:
        """Return the route that the probe is for; None if a blueprint has it."""
        method, path = self.probe.line
        match = RouteTable(self.transport.routes()).find(method, path.partition("?")[0])
        return None if match is None else match.route

    @property
    def transport(self) -> Transport:
        """The transport that is tested."""
        return transport_of(self.client)

    async def __aenter__(self) -> Stage:
        await self.client.__aenter__()
        if self.probe.queue is not None and self.probe.is_there:
            await self.broker.queues.create(ADMIN, QueueSpec(self.probe.queue))
            drafts = [Draft(queue=self.probe.queue, body=b"%d" % n) for n in range(MESSAGES)]
            await self.broker.publish(ADMIN, drafts)
        if self.probe.is_about_a_lease():
            assert self.probe.queue is not None, "a lease is of a queue"
            [lease] = (await self.broker.lease(ADMIN, self.probe.queue)).deliveries
            self.probe = self.probe.filled(lease.receipt, lease.message.id)
        self.before = await self.counts()
        self.doubles.forget()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.doubles.storage.released.set()
        await self.client.__aexit__(kind, error, at)

    def permit(self, action: Action | None) -> None:
        """Permit this, with the queue of the probe, and nothing else."""
        granted = set() if action is None else {(action, self.probe.queue)}
        self.doubles.authorizer.granted[SUBJECT] = granted

    def permit_another(self) -> None:
        """Permit something else than the probe needs with its queue, which can so be seen."""
        self.permit(next(action for action in QUEUE_ACTIONS if action != self.probe.action))

    async def ask(self, *, token: str = TOKEN, **options: Any) -> Answer:
        """Send the probe; return its answer in the words of HTTP."""
        return await self.contract.ask(self.client, self.probe, token=token, **options)

    def begin(self) -> Exchange:
        """Send the probe without waiting for anything; `leave` it in any case."""
        return self.client.begin(*self.probe.line, **self.probe.options(token=TOKEN))

    async def leave(self, exchange: Exchange) -> None:
        """Have the client of an exchange go, and the storage work again after that; return when
        nobody is at work for that client any more."""
        exchange.hang_up()
        await turns()
        self.doubles.storage.released.set()
        await exchange.leave()

    @asynccontextmanager
    async def begun(self) -> AsyncIterator[Exchange]:
        """Send the probe and give its answer once it has begun; the client goes with the block."""
        exchange = self.begin()
        try:
            yield await exchange.begun()
        finally:
            await exchange.leave()

    def happened(self) -> list[EventKind]:
        """Return what the broker told its observers since it was ready."""
        return self.doubles.observer.told()

    async def counts(self) -> Counts:
        """Return how many messages the queue of the probe holds, by state."""
        storage, now = self.doubles.storage, self.clock.now()
        names = [self.probe.queue] if self.probe.queue is not None else []
        statuses = await MemoryStorage.get_queues(storage, names=names, now=now)
        return statuses[0].counts if statuses else Counts()

    def break_operations(self, fault: Exception) -> None:
        """Have the broker raise what it never would in whatever is asked of it from now on, as if
        the bug were there, or in the transport."""

        async def broken(*_: Any, **__: Any) -> Any:
            raise fault

        for operations in (self.broker, self.broker.queues):
            for name, _ in inspect.getmembers(type(operations), inspect.iscoroutinefunction):
                if not name.startswith("_") and name not in ENTRANCES:
                    setattr(operations, name, broken)

    async def reach(self, described: str, condition: Callable[[], Awaitable[bool]]) -> None:
        """Return when that is so; fails if it does not come."""
        try:
            async with asyncio.timeout(REACH_SECONDS):
                while not await condition():
                    await turns()
        except TimeoutError as error:
            problem = f"{self.probe.request}: {described} did not come within {REACH_SECONDS} s"
            raise AssertionError(problem) from error

    async def leases_are_out(self) -> None:
        """Return when messages are leased."""

        async def are_out() -> bool:
            return (await self.counts()).processing > self.before.processing

        await self.reach("a lease", are_out)

    async def all_is_back(self) -> None:
        """Return when the queue is as it was before the probe."""

        async def is_back() -> bool:
            return await self.counts() == self.before

        await self.reach("what was leased for a client that is gone", is_back)

    async def only(self, tasks: set[asyncio.Task[Any]]) -> None:
        """Return when there are no other tasks than these."""

        async def are_all() -> bool:
            return asyncio.all_tasks() <= tasks

        await self.reach("the end of all tasks of the request", are_all)

    async def advance(self, seconds: int) -> None:
        """Let time pass, a second at a time, and let everybody do what is due."""
        for _ in range(seconds):
            self.clock.advance(1)
            await turns()


def assemble_around(
    plugin: object,
    tmp_path: Path,
    clock: ManualClock,
    doubles: Doubles,
    *,
    hot: bool,
    config: Mapping[str, Any],
    broker: Mapping[str, Any],
) -> Client:
    """Return the client of a broker that consists of a plugin and of doubles."""
    settings = {
        "plugins": [KIT, TESTED],
        "disable": ["rest", "log", "openapi"],
        "storage": KIT,
        "data_dir": str(tmp_path / "data"),
        **broker,
    }
    tables = {"broker": settings, "plugins": {TESTED: config} if config else {}}
    added = {KIT: doubles, TESTED: plugin}
    return Client(assemble(make_config(tables), clock=clock, added=added), hot=hot)


def transport_of(client: Client) -> Transport:
    """Return the transport that is tested."""
    [transport] = [found for name, found in client.assembly.transports if name == TESTED]
    return transport
