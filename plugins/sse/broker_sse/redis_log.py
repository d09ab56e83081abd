"""One order for the events of all nodes, which travel through Redis."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Sequence

from broker import Clock, ConfigError, Event

from broker_sse.crossing import VERSION, write_crossing
from broker_sse.entry import EventId
from broker_sse.hub import Hub
from broker_sse.log import EventLog, LocalLog
from broker_sse.outgoing import Outgoing
from broker_sse.redis_mistakes import mistake
from broker_sse.redis_order import TOGETHER, RedisOrder
from broker_sse.redis_reader import RedisReader

MOST_ON_THEIR_WAY = 50_000
"""How many events of this node may not be back from Redis yet: some 20 MB."""

QUIET_SECONDS = 15.0
"""After how long without events Redis is asked something, so that nobody ends the connection."""

RETRY_MS = 1_000
"""How long after a failed try comes the next one."""

CLOSE_SECONDS = 1.0
"""How long the last events may take to get to Redis when the broker stops."""


class RedisLog(EventLog):
    """Sends the events of this node to Redis, and tells the hub of what comes back from there: the
    events of all nodes in one order, which is the same for all of them.

    While Redis is away, the events of this node are told in an order of its own, at once.
    Streams are told when that begins and when it ends.
    """

    def __init__(
        self,
        hub: Hub,
        order: RedisOrder,
        *,
        history: int,
        clock: Clock,
        logger: logging.Logger,
    ) -> None:
        super().__init__(hub)
        self._order = order
        self._history = history
        self._clock = clock
        self._logger = logger
        self._alone = LocalLog(hub)
        """What tells of events while Redis is away."""
        self._is_away = True
        self._told_alone = False
        self._problem = ""
        self._node = secrets.token_hex(6)
        self._epoch = ""
        """The order that events are sent to; the one that is read may still be one before."""
        self._outgoing = Outgoing()
        self._reader = RedisReader(
            self, order, node=self._node, outgoing=self._outgoing, logger=logger
        )
        self._closing = False
        self._working: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Join the order and learn the newest of it; that Redis is away now is no reason not to
        start. Raises ConfigError for what never answers as a Redis does."""
        try:
            await self._join()
        except OSError as error:
            problem = mistake(error)
            if problem is not None:
                where = f"plugins.sse.redis_url: {self._order.where}"
                raise ConfigError(f"{where} {problem}") from error
            self._complain(error)
        self._working = asyncio.create_task(self._work())

    async def close(self) -> None:
        """Send what there is to send, and disconnect."""
        if self._working is not None:
            self._closing = True
            self._outgoing.wake()
            await asyncio.wait([self._working], timeout=0 if self._is_away else CLOSE_SECONDS)
            self._working.cancel()
            await asyncio.wait([self._working])
        await self._order.close()

    async def notices(self) -> Sequence[str]:
        """Tell where events travel, or why they do not."""
        return [self._problem or f"events travel through Redis at {self._order.where}"]

    def notify(self, events: Sequence[Event]) -> None:
        """Have the events sent, or tell of them here while that cannot be done."""
        if self._is_away:
            self._tell_alone(events)
        else:
            self._outgoing.add(events)

    async def reach(self, place: EventId) -> None:
        """Wait a moment for what another broker may have told already."""
        await self._reader.reach(place)

    async def _work(self) -> None:
        while True:
            try:
                if not self._is_away:
                    await self._follow()
                    return
                await self._clock.sleep_until(self._clock.now() + RETRY_MS)
                await self._join()
            except OSError as error:
                self._lose(error)
            # An isolation point: whatever is wrong here, events have to go on.
            except Exception as error:
                self._logger.exception("the order in Redis could not be followed")
                self._lose(error)

    async def _follow(self) -> None:
        """Send and read; return at the end, when all is sent. Raises OSError."""
        tasks = [asyncio.create_task(self._send()), asyncio.create_task(self._reader.follow())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        for task in done:
            task.result()

    async def _join(self) -> None:
        """Go on in the order, or begin in it; raises OSError when that cannot be done now."""
        await self._order.open()
        # What happens from here on belongs into the order, if it can be joined.
        self._is_away = False
        try:
            # What was told here alone is missing there, so that order is over.
            place = await self._order.join(anew=self._told_alone)
            if self._problem:
                self._reader.stands = self._reader.stands or place
            else:
                await self._reader.begin(place, history=self._history)
        except Exception:
            self._is_away = True
            self._tell_alone(self._outgoing.give_up())
            raise
        self._epoch = place.epoch
        self._told_alone = False
        if self._problem:
            self._problem = ""
            self._logger.info("events travel through Redis at %s again", self._order.where)
            self.hub.announce_gap("redis-returned")

    async def _send(self) -> None:
        while True:
            try:
                async with asyncio.timeout(QUIET_SECONDS):
                    await self._outgoing.unsent()
            except TimeoutError:
                await self._order.stay()
            while events := self._outgoing.next(TOGETHER):
                if len(self._outgoing) > MOST_ON_THEIR_WAY:
                    raise OSError(f"more than {MOST_ON_THEIR_WAY} events are on their way")
                written = [write_crossing(self._node, *numbered) for numbered in events]
                while not await self._order.send(self._epoch, VERSION, written):
                    self._epoch = (await self._order.join()).epoch
                self._outgoing.sent(len(events))
            if self._closing:
                return

    def _lose(self, error: Exception) -> None:
        self._complain(error)
        if not self._is_away:
            self._is_away = True
            self.hub.announce_gap("redis-lost")
            self._tell_alone(self._outgoing.give_up())

    def _tell_alone(self, events: Sequence[Event]) -> None:
        if events:
            self._told_alone = True
            self._alone.notify(events)

    def _complain(self, error: Exception) -> None:
        reason = str(error).rstrip(".")
        problem = (
            f"Redis at {self._order.where} passes no events on ({reason}); until it does, this "
            "broker tells of its own alone"
        )
        if problem != self._problem:
            self._problem = problem
            self._logger.warning("%s", problem)
