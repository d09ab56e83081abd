"""One observer each: how it is told, in a thread of its own or on the event loop, and when no more.

Whatever `notify` raises, SystemExit too, is its observer's failure: the operation is done, and its
answer must come.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread

from broker.extend import Event, Observer
from broker.isolation import Failures

MOST_FAILURES = 100
"""After how many failures in a row an observer is told no more."""

MOST_WAITING = 100_000
"""How many events wait for an observer in its thread; some 20 MB."""

SLOW_SECONDS = 0.1
"""How long an observer may keep the event loop from all others without being blamed for it."""

MOST_SLOW_SECONDS = 0.5
"""For how long in all it may, within `SLOW_WINDOW_SECONDS`, until it is told no more. One pause is
forgiven: a full garbage collection takes 0.2 s, whoever it befalls."""

SLOW_WINDOW_SECONDS = 60.0

DRAIN_SECONDS = 2.0
"""How long a thread may take, when the broker stops, for what its observer was not told yet."""

logger = logging.getLogger("broker.observing")


class Listener(ABC):
    """An observer, and how it fares."""

    def __init__(self, name: str, observer: Observer, failures: Failures) -> None:
        self.name = name
        self.kinds = observer.kinds
        self._observer = observer
        self._failures = failures
        self._failed_in_row = 0
        self._is_dropped = False

    def tell(self, events: Sequence[Event]) -> None:
        """Tell of what the observer wants to hear; raises nothing."""
        if self._is_dropped:
            return
        if self.kinds is not None:
            events = tuple(event for event in events if event.kind in self.kinds)
        if events:
            self.hand(events)

    @abstractmethod
    def hand(self, events: Sequence[Event]) -> None:
        """Have the observer take these events."""

    def call(self, events: Sequence[Event]) -> None:
        """Call the observer; drop it if that fails again and again."""
        try:
            self._observer.notify(events)
        # An isolation point: the operation is done, and no observer may undo its answer.
        except BaseException as error:  # noqa: BLE001  # SystemExit would end the broker
            self._failures.note(self.name, "observe", error)
            self._failed_in_row += 1
            if self._failed_in_row >= MOST_FAILURES:
                self.drop(f"it failed {MOST_FAILURES} times in a row")
        else:
            self._failed_in_row = 0

    def drop(self, why: str) -> None:
        """Tell the observer no more, until the broker is started again."""
        if not self._is_dropped:
            self._is_dropped = True
            self._failures.count(self.name, "observe any more")
            logger.error(
                'the observer of plugin "%s" is told no more: %s; '
                "mend it, or take it from broker.plugins, and start the broker again",
                self.name,
                why,
            )


class InLoop(Listener):
    """Is called at once, on the event loop: whoever takes long there holds up everybody."""

    def __init__(
        self, name: str, observer: Observer, failures: Failures, ticks: Callable[[], float]
    ) -> None:
        super().__init__(name, observer, failures)
        self._ticks = ticks
        self._slow_seconds = 0.0
        self._window_ends = 0.0

    def hand(self, events: Sequence[Event]) -> None:
        """Call the observer, and look how long it takes."""
        begun = self._ticks()
        self.call(events)
        ended = self._ticks()
        if ended - begun > SLOW_SECONDS:
            self._blame(ended - begun, ended)

    def _blame(self, seconds: float, now: float) -> None:
        self._failures.count(self.name, "observe in time")
        logger.warning(
            'the observer of plugin "%s" kept all others waiting for %.1f s', self.name, seconds
        )
        if now >= self._window_ends:
            self._window_ends = now + SLOW_WINDOW_SECONDS
            self._slow_seconds = 0.0
        self._slow_seconds += seconds
        if self._slow_seconds > MOST_SLOW_SECONDS:
            self.drop("it blocks the event loop; without in_loop = True it has a thread of its own")


class InThread(Listener):
    """Is called in a thread of its own, one operation after the other. What comes faster than it
    is taken waits, and is lost when too much does. Nothing that it does holds up anybody, but for
    what keeps other threads from Python itself."""

    def __init__(self, name: str, observer: Observer, failures: Failures) -> None:
        super().__init__(name, observer, failures)
        self._waiting: SimpleQueue[Sequence[Event] | None] = SimpleQueue()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended = asyncio.Event()
        # Each has one thread that counts, so that their difference needs no lock.
        self._handed = 0
        self._taken = 0
        self._lost = 0
        self._is_left = False

    @property
    def _backlog(self) -> int:
        return self._handed - self._taken

    def start(self) -> None:
        """Begin to tell."""
        self._loop = asyncio.get_running_loop()
        self._ended.clear()
        # A daemon: one that is stuck keeps no process from its end.
        Thread(target=self._run, name=f"observer of {self.name}", daemon=True).start()

    async def stop(self) -> None:
        """Tell what waits, but wait for that no longer than a moment."""
        self._waiting.put(None)
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                await self._ended.wait()
        except TimeoutError:
            self._is_left = True
            self._lose(self._backlog)
            logger.error(  # noqa: TRY400  # there is no traceback of what does not return
                'the observer of plugin "%s" did not take %d events before the broker stopped',
                self.name,
                self._backlog,
            )

    def hand(self, events: Sequence[Event]) -> None:
        """Put the events where the thread finds them, if there is room."""
        if self._backlog + len(events) > MOST_WAITING:
            if not self._lost:
                logger.error(
                    'the observer of plugin "%s" is too slow: %d events wait for it, '
                    "and it is not told of what comes now",
                    self.name,
                    self._backlog,
                )
            self._lose(len(events))
            return
        if self._lost and self._backlog <= MOST_WAITING // 2:
            logger.warning(
                'the observer of plugin "%s" is told again; it missed %d events',
                self.name,
                self._lost,
            )
            self._lost = 0
        self._handed += len(events)
        self._waiting.put(events)

    def _lose(self, events: int) -> None:
        self._lost += events
        self._failures.count(self.name, "keep up with events", events)

    def _run(self) -> None:
        while (events := self._waiting.get()) is not None and not self._is_left:
            if not self._is_dropped:
                self.call(events)
            self._taken += len(events)
        assert self._loop is not None, "the thread was started"
        with suppress(RuntimeError):  # the loop is closed: nobody waits for this
            self._loop.call_soon_threadsafe(self._ended.set)
