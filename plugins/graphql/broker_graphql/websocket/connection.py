"""One client's connection: the operations that go on over it, and what they result in."""

from __future__ import annotations

import asyncio
import itertools
from functools import partial
from typing import ClassVar

import msgspec
from broker import (
    Broker,
    BrokerError,
    Identity,
    Malformed,
    Recheck,
    Stream,
)

from broker_graphql.config import GraphqlConfig
from broker_graphql.execution import Execution
from broker_graphql.executor import Executor, Operation
from broker_graphql.gate.asking import read_asked
from broker_graphql.gate.refusal import Refused, refuse
from broker_graphql.subscription import Subscription
from broker_graphql.websocket.conversation import INVALID, Breach, Exchange
from broker_graphql.websocket.frames import PING, PONG
from broker_graphql.websocket.outbox import Outbox

MAX_OPERATIONS = 20
"""How many operations may go on at one time."""

MAX_UNANSWERED = 2
"""How many of our pings may be without any answer: with the third, some 40 s are over."""


class Connection(Stream):
    """A stream of frames, of which each piece is one.

    A query or mutation is a task until its result waits to be sent. A subscription makes a result
    when the client takes it.
    """

    heartbeat: ClassVar[bytes] = PING

    def __init__(
        self,
        broker: Broker,
        executor: Executor,
        config: GraphqlConfig,
        outbox: Outbox,
        identity: Identity,
        *,
        recheck: Recheck,
        request_id: str,
    ) -> None:
        super().__init__(identity, recheck=recheck)
        self._identify = recheck
        self.outbox = outbox
        self._broker = broker
        self._executor = executor
        self._config = config
        self._request_ids = (f"{request_id}.{number}" for number in itertools.count(1))
        self._tasks: dict[Exchange, asyncio.Task[None]] = {}
        self._subscriptions: dict[Exchange, tuple[Subscription, Execution]] = {}
        self._roused: dict[Exchange, None] = {}
        """The subscriptions that may have something, in the order of their turns."""
        self._owes_pong = False
        self._unanswered = 0

    def begin(self, exchange: Exchange, payload: msgspec.Raw) -> None:
        """Begin an operation; raises Breach if what is asked is no request."""
        execution = self._executor.begin(
            self.identity, request_id=next(self._request_ids), recheck=self.recheck
        )
        try:
            operation = self._prepare(payload)
            if operation.is_subscription:
                wake = partial(self._rouse, exchange)
                subscription = self._executor.subscribe(operation, execution, wake)
                self._subscriptions[exchange] = subscription, execution
            else:
                work = self._answer(exchange, operation, execution)
                self._tasks[exchange] = asyncio.ensure_future(work)
        except Malformed as error:
            raise Breach(INVALID, str(error)) from error
        except Refused as refusal:
            self._send(exchange.error(refusal.errors))
        except Exception as error:  # noqa: BLE001  # isolates one operation from all others
            self._send(exchange.error([execution.tell({}, error)]))

    def stop(self, exchange: Exchange) -> None:
        """End an operation of which the client wants no more."""
        if exchange in self._tasks:
            self._tasks[exchange].cancel()
        if exchange in self._subscriptions:
            subscription, _ = self._subscriptions.pop(exchange)
            subscription.close()

    def heard(self) -> None:
        """Note that the client is there."""
        self._unanswered = 0

    def pong(self) -> None:
        """Answer a ping; several that came before the answer could be sent get one."""
        self._owes_pong = True
        self.wake()

    def beat(self) -> None:
        """Ask an idle client whether it is there; one that says nothing any more loses the
        connection."""
        if self._unanswered >= MAX_UNANSWERED:
            self.end("slow")
        self._unanswered += 1
        super().beat()

    async def take(self) -> bytes:
        """Return the next frame; what is new to subscriptions in turns."""
        if frame := self.outbox.take():
            return frame
        if self._owes_pong:
            self._owes_pong = False
            return PONG
        while self._roused:
            exchange = next(iter(self._roused))
            del self._roused[exchange]
            if frame := await self._next(exchange):
                return frame
        return b""

    def admit(self, identity: Identity) -> None:
        """Go on with what the identity may do now: a subscription that it may not have any more
        ends, the others go on."""
        for exchange, (subscription, execution) in list(self._subscriptions.items()):
            try:
                subscription.admit(identity)
            except BrokerError as error:
                self._send(exchange.error([execution.tell({}, error)]))
                self.stop(exchange)
        super().admit(identity)

    async def close(self) -> None:
        """End all operations, and undo what they gave to nobody."""
        for subscription, _ in self._subscriptions.values():
            subscription.close()
        if tasks := list(self._tasks.values()):
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        await self.outbox.close(was_taken=self.was_taken)

    def _prepare(self, payload: msgspec.Raw) -> Operation:
        if len(self._tasks) + len(self._subscriptions) >= MAX_OPERATIONS:
            raise refuse(
                f"{MAX_OPERATIONS} operations go on over this connection already; "
                "wait for one, or complete it",
                code="too-many-operations",
            )
        return self._executor.prepare(read_asked(bytes(payload), self._config), self.identity)

    async def _answer(self, exchange: Exchange, operation: Operation, execution: Execution) -> None:
        try:
            with self._broker.turns.taken():
                # As each request over HTTP: the connection learns of a logout within 5 s only.
                execution.identity = await self._identify()
                result = await self._executor.execute(operation, execution)
            self.outbox.put(exchange.next(result), undo=execution.undo)
            self._send(exchange.complete())
        except Exception as error:  # noqa: BLE001  # isolates one operation from all others
            self._send(exchange.error([execution.tell({}, error)]))
            await execution.give_back()
        finally:
            del self._tasks[exchange]

    async def _next(self, exchange: Exchange) -> bytes:
        """Return the next frame of a subscription, nothing if there is none."""
        if exchange not in self._subscriptions:
            return b""
        subscription, _ = self._subscriptions[exchange]
        result = await subscription.next()
        if result is not None:
            self._roused[exchange] = None
            return exchange.next(result)
        if not subscription.is_lost:
            return b""
        self.stop(exchange)
        lost = refuse("events came faster than they were taken; subscribe again", code="slow")
        return exchange.error(lost.errors)

    def _rouse(self, exchange: Exchange) -> None:
        self._roused[exchange] = None
        self.wake()

    def _send(self, frame: bytes) -> None:
        if frame:
            self.outbox.put(frame)
            self.wake()
