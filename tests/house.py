"""An engine with everything around it, over the memory storage, under a clock that stands still."""

import asyncio

from broker import (
    Broker,
    BrokerInfo,
    Draft,
    Identity,
    Observer,
    QueueSpec,
    Settlement,
    read_receipt,
)
from broker.builtin.memory import MemoryStorage
from broker.builtin.scopes import ScopeAuthorizer
from broker.providers import Providers
from broker.testing import ManualClock

ADMIN = Identity(subject="root", scopes=frozenset({"admin"}))


class Recorder(Observer):
    in_loop = True

    def __init__(self, kinds=None):
        self.kinds = kinds
        self.events = []

    def notify(self, events):
        self.events += events

    def told(self):
        return [event.kind for event in self.events]


class House:
    """Use as a context manager: it opens the storage and makes the queue `q`."""

    def __init__(
        self, *, storage=None, interceptors=(), limiter=None, require_receipt=False, kinds=None
    ):
        self.clock = ManualClock()
        self.storage = storage or MemoryStorage()
        self.seen = Recorder(kinds)
        self.broker = Broker(
            Providers(
                storage=("memory", self.storage),
                authorizer=("scopes", ScopeAuthorizer()),
                interceptors=tuple(("acme", one) for one in interceptors),
                limiter=None if limiter is None else ("limits", limiter),
                observers=(("seen", self.seen),),
            ),
            clock=self.clock,
            info=BrokerInfo(
                version="1",
                started_at=self.clock.now(),
                storage="memory",
                capabilities=self.storage.capabilities,
            ),
            max_queues=1000,
            max_requests=1000,
            max_waiting=1000,
            max_waiting_per_identity=1000,
            max_streams=1000,
            max_streams_per_identity=30,
            anonymous=True,
            require_receipt=require_receipt,
        )

    async def __aenter__(self):
        await self.storage.open()
        await self.broker.queues.create(ADMIN, QueueSpec("q"))
        self.seen.events.clear()
        return self

    async def __aexit__(self, *_):
        self.broker.drain()
        await self.storage.close()

    async def publish(self, *bodies, queue="q", **options):
        drafts = [Draft(queue=queue, body=body, **options) for body in bodies]
        return [result.id for result in await self.broker.publish(ADMIN, drafts)]

    async def lease(self, queue="q", **options):
        return (await self.broker.lease(ADMIN, queue, **options)).deliveries

    def begin_lease(self, **options):
        return asyncio.ensure_future(self.lease(**options))

    async def status(self, queue="q"):
        return await self.broker.queues.get(ADMIN, queue)


async def turns(count=20):
    for _ in range(count):
        await asyncio.sleep(0)


def ack(delivery):
    return Settlement(receipt=read_receipt(delivery.receipt), kind="ack")
