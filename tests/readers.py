"""A broker in memory with one queue, and readers that consume it as streams do."""

import asyncio

from broker import Broker, BrokerInfo, Draft, Identity, QueuePolicy, QueueSpec, read_receipt
from broker import Settlement
from broker.builtin.memory import MemoryStorage
from broker.builtin.scopes import ScopeAuthorizer
from broker.providers import Providers
from broker.testing import ManualClock

ADMIN = Identity(subject="admin", scopes=frozenset({"admin"}))


def make_broker(clock, storage, **providers):
    return Broker(
        Providers(
            storage=("memory", storage), authorizer=("scopes", ScopeAuthorizer()), **providers
        ),
        clock=clock,
        info=BrokerInfo(
            version="1", started_at=0, storage="memory", capabilities=storage.capabilities
        ),
        max_queues=1000,
        max_requests=1000,
        max_waiting=1000,
        max_waiting_per_identity=1000,
        max_streams=1000,
        max_streams_per_identity=1000,
    )


async def settle_loop():
    for _ in range(60):
        await asyncio.sleep(0)


class House:
    """A broker with the queue `q`, whose clock stands still."""

    def __init__(self, storage=None, clock=None, **providers):
        self.clock = clock or ManualClock()
        self.storage = storage or MemoryStorage()
        self.broker = make_broker(self.clock, self.storage, **providers)
        self.runtime = self.broker._runtime

    async def open(self, **policy):
        await self.storage.open()
        await self.broker.queues.create(ADMIN, QueueSpec("q", QueuePolicy(**policy)))
        return self

    async def publish(self, count=1, *, body=b"x", **fields):
        drafts = [Draft(queue="q", body=body, **fields) for _ in range(count)]
        results = await self.broker.publish(ADMIN, drafts)
        await settle_loop()
        return [result.id for result in results]

    async def read(self, name="reader", **options):
        reader = Reader(self, name)
        await reader.begin(**options)
        return reader

    async def settle(self, deliveries, kind="ack", **options):
        settlements = [
            Settlement(receipt=read_receipt(one.receipt), kind=kind, **options)
            for one in deliveries
        ]
        settled = await self.broker.settle(ADMIN, settlements)
        await settle_loop()
        return [result.outcome for result in settled.results]

    async def advance(self, seconds):
        self.clock.advance(seconds)
        await settle_loop()

    async def counts(self):
        return (await self.broker.queues.get(ADMIN, "q")).counts

    async def leased_by(self, name):
        """The ids of the messages that somebody holds, as the storage sees it."""
        rows = self.storage._store.queue("q", self.clock.now()).rows()
        return {row.id for row in rows if (row.state, row.leased_by) == ("processing", name)}


class Reader:
    """Takes what it can get, as a stream does whose client is fast until it is `stuck`."""

    def __init__(self, house, name):
        self.house = house
        self.identity = Identity(subject=name, scopes=frozenset({"admin"}))
        self.got = []
        self.pieces = []
        self._awake = asyncio.Event()
        self._sent = asyncio.Event()
        self._sent.set()

    async def begin(self, **options):
        self.consuming = await self.house.broker.consume(self.identity, "q", **options)
        self.consuming.listen(self._awake.set)
        self.task = asyncio.ensure_future(self._read())
        await settle_loop()

    async def _read(self):
        while True:
            self._awake.clear()
            await self.consuming.fetch()
            if piece := self.consuming.take():
                self.pieces.append(piece)
                self.got += piece
                await self._sent.wait()
            else:
                await self._awake.wait()

    @property
    def ids(self):
        return [one.message.id for one in self.got]

    @property
    def is_stuck(self):
        return not self._sent.is_set()

    def stick(self):
        self._sent.clear()

    async def go_on(self):
        self._sent.set()
        await settle_loop()

    async def leave(self, *, keep=False):
        """Go in the midst of whatever is done."""
        self.task.cancel()
        await asyncio.wait([self.task])
        await self.consuming.close(keep=keep)
        await settle_loop()
