"""Results as Server-Sent Events: graphql-sse, in its distinct connections mode
(https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md)."""

from __future__ import annotations

import msgspec
from broker import EndReason, Identity, Stream, write_event

from broker_graphql.engine import Result
from broker_graphql.execution import Execution
from broker_graphql.executor import Executor, Operation

EVENT_STREAM = "text/event-stream"

COMPLETE = write_event("complete", b"")


def write_next(result: Result) -> bytes:
    """Return the event that tells a result."""
    return write_event("next", msgspec.json.encode(result))


class EventStream(Stream):
    """What a subscription tells, for as long as its client stays."""

    def __init__(self, executor: Executor, operation: Operation, execution: Execution) -> None:
        """Subscribe; raises Refused."""
        super().__init__(execution.identity, recheck=execution.recheck)
        self._subscription = executor.subscribe(operation, execution, self.wake)
        self.beat()  # some proxies pass the headers on with what follows them

    async def take(self) -> bytes:
        """Return the next result."""
        result = await self._subscription.next()
        if self._subscription.is_lost:
            self.end("slow")
        return b"" if result is None else write_next(result)

    def farewell(self, reason: EndReason) -> bytes:
        """Return a comment. Nothing is complete: a client of graphql-sse subscribes again when the
        stream ends without that event, and takes an event that it does not know for a failure."""
        return f": end {reason}\n\n".encode()

    def admit(self, identity: Identity) -> None:
        """Go on with what the identity may read now."""
        self._subscription.admit(identity)
        super().admit(identity)

    async def close(self) -> None:
        """Listen no more."""
        self._subscription.close()
