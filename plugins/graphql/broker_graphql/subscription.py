"""A subscription: what one client asked to be told, as it happens."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache, partial

from broker import (
    EVENT_KINDS,
    Event,
    EventFilter,
    EventKind,
    FieldError,
    Identity,
    Invalid,
    QueueNotFound,
    check_globs,
)

from broker_graphql.engine import Result
from broker_graphql.events import Events
from broker_graphql.execution import Execution

MAX_RIGHTS = 4_096
"""For how many queues it is known by heart whether they may be read."""


class Subscription:
    """Takes the events that it wants, and returns the results of those that may be told.

    Whether its identity may read the queue of an event is asked when the event is told, and
    forgotten each time that the identity is looked at again.
    """

    def __init__(
        self,
        execution: Execution,
        events: Events,
        *,
        wants: EventFilter,
        execute: Callable[[Event], Awaitable[Result]],
        wake: Callable[[], None],
        buffer: int,
    ) -> None:
        """`execute` makes the result of an event; `wake` is called when there may be one. No more
        than `buffer` events wait, but what one operation brought is taken whole.

        Raises Forbidden if there is nothing that the identity may read, or it may not read a queue
        that is wanted by name.
        """
        self.is_lost = False
        """Whether more came than was taken: there is nothing to take any more."""
        self._execution = execution
        self._broker = execution.broker
        self._events = events
        self._wants = wants
        self._execute = execute
        self._wake = wake
        self._buffer = buffer
        self._waiting: deque[Event] = deque()
        self._demanded = self._find_demanded()
        self.admit(execution.identity)
        events.audience.join(self, wants)

    def offer(self, events: Sequence[Event]) -> None:
        """Take what one operation brought of what is wanted."""
        if len(self._waiting) >= self._buffer:
            if not self.is_lost:
                self._events.evicted += 1
            self.is_lost = True
            self.close()
        else:
            self._waiting.extend(events)
        self._wake()

    async def next(self) -> Result | None:
        """Return the result of the next event that may be told, None if none is there now."""
        while self._waiting:
            event = self._waiting.popleft()
            if self._may_be_told(event):
                return await self._execute(event)
        return None

    def admit(self, identity: Identity) -> None:
        """Go on with what the identity may read now; raises Forbidden or QueueNotFound if that is
        nothing, or it lost a queue that is wanted by name."""
        self._broker.permit_some(identity, "read")
        for queue in self._demanded:
            self._broker.permit(identity, "read", queue)
        self._execution.identity = identity
        self._may_read = lru_cache(MAX_RIGHTS)(partial(self._broker.permits, identity, "read"))

    def close(self) -> None:
        """Listen no more; to do so twice does no harm."""
        self._events.audience.leave(self)
        self._waiting.clear()

    def _find_demanded(self) -> list[str]:
        """Return the queues that are wanted by name, but for those that the identity does not see:
        of them it is told nothing, as of those that are not there yet."""
        demanded = []
        for queue in sorted(self._wants.names):
            try:
                self._broker.permit(self._execution.identity, "read", queue)
            except QueueNotFound:
                continue
            demanded.append(queue)
        return demanded

    def _may_be_told(self, event: Event) -> bool:
        return any(self._wants.covers(queue) and self._may_read(queue) for queue in event.queues)


def read_wants(*, queue: Sequence[str], event: Sequence[EventKind] | None = None) -> EventFilter:
    """Return what the arguments of `Subscription.events` ask for; raises Invalid."""
    try:
        check_globs(queue)
    except ValueError as error:
        raise Invalid([FieldError("queue", str(error))]) from error
    return EventFilter.of(queue, EVENT_KINDS if event is None else event)
