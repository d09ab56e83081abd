"""Nodes that share an order, without brokers around them."""

import asyncio
import logging
from collections import deque
from contextlib import asynccontextmanager

from broker import Clock, Event
from broker_sse.filters import Filter
from broker_sse.hub import Hub
from broker_sse.redis_log import RedisLog
from broker_sse.redis_order import RedisOrder

HISTORY = 1_000
KEYS = ("{test}:order", "{test}:events")


class Listener:
    """Keeps what the hub tells, in its order: entries, and reasons of gaps."""

    def __init__(self, hub):
        self.wants = Filter()
        self.told = []
        self._new = asyncio.Event()
        hub.subscribe(self)

    def offer(self, entries):
        self.told += entries
        self._new.set()

    def note_place(self):
        pass

    def announce_gap(self, reason):
        self.told.append(reason)
        self._new.set()

    async def until(self, holds):
        """Return once what was told is as it should be."""
        while not holds(self.told):
            self._new.clear()
            await self._new.wait()

    async def until_told(self, *queues):
        """Return once the newest events are about these queues."""
        await self.until(lambda told: [_queue(one) for one in told[-len(queues) :]] == [*queues])

    async def until_gap(self, reason):
        """Return once there is a gap, which is the newest of all."""
        await self.until(lambda told: told and told[-1] == reason)

    @property
    def entries(self):
        return [entry for entry in self.told if not isinstance(entry, str)]

    @property
    def gaps(self):
        return [reason for reason in self.told if isinstance(reason, str)]

    @property
    def queues(self):
        return [entry.event.queue for entry in self.entries]

    @property
    def ids(self):
        return [str(entry.id) for entry in self.entries]


def _queue(told):
    return None if isinstance(told, str) else told.event.queue


class Node:
    """A log, and who listens to it."""

    def __init__(self, url, *, history=HISTORY, prefix="test", clock=None):
        self.hub = Hub(history=history, buffer=256)
        self.listener = Listener(self.hub)
        order = RedisOrder(url, prefix=prefix, history=history)
        self.log = RedisLog(
            self.hub,
            order,
            history=history,
            clock=clock or Clock(),
            logger=logging.getLogger("broker.plugins.sse"),
        )
        self.woken = []
        self.log.wake = lambda queue, count: self.woken.append((queue, count))

    @property
    def history(self):
        """What somebody is told who comes now and wants all that is there."""
        return self.hub.history.read(self.hub.history.start, self.hub.history.end)

    def tell(self, *queues, kind="message.published", **fields):
        """Have something happen in each of these queues."""
        self.log.notify([event(queue, kind=kind, **fields) for queue in queues])


def event(queue, *, kind="message.published", **fields):
    return Event(kind=kind, queue=queue, at=1_700_000_000_000, subject="who", **fields)


@asynccontextmanager
async def opened(*nodes):
    """Open nodes, one after the other."""
    waiting = deque(nodes)
    if not waiting:
        yield
        return
    node = waiting.popleft()
    try:
        await node.log.open()
        async with opened(*waiting):
            yield
    finally:
        await node.log.close()
