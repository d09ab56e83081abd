"""A storage each call of which is a span; what moves messages, by the conventions for messaging.

https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import islice
from time import time_ns
from typing import Any, Literal

import msgspec
from opentelemetry.context import attach, detach
from opentelemetry.trace import (
    Link,
    Span,
    SpanKind,
    Tracer,
    get_current_span,
    set_span_in_context,
)

from broker.models import (
    BulkResult,
    Lease,
    LeaseResult,
    Maintenance,
    MessageQuery,
    NewMessage,
    Page,
    PublishResult,
    Queue,
    QueueSpec,
    QueueStatus,
    Settle,
    Settled,
)
from broker.storage import Capability, Storage
from broker.tracing.failing import note_failure
from broker.tracing.propagation import TRACEPARENT, carried_by, read_context, with_context

SYSTEM = "replika_broker"
"""What conventions for messaging call this kind of broker."""

MAX_LINKS = 128
"""How many links a span keeps; also OpenTelemetry's own limit."""

MESSAGE_ID = "messaging.message.id"


class TracedStorage(Storage):
    """Passes on what a storage answers, and traces the call.

    What belongs to no trace, upkeep for example, is no span; but what brings a message in or out is
    one always, and begins a trace if it must: producers and consumers are linked by it.
    """

    def __init__(self, name: str, storage: Storage, tracer: Tracer) -> None:
        self._storage = storage
        self._tracer = tracer
        self._common = {"messaging.system": SYSTEM, "replika_broker.storage": name}

    @property
    def capabilities(self) -> frozenset[Capability]:  # type: ignore[override]  # no class's own
        """What the storage can do."""
        return self._storage.capabilities

    async def publish(self, batch: Sequence[NewMessage], *, now: int) -> list[PublishResult]:
        """Store the batch; each message without a `traceparent` gets that of the span."""
        with self._sending(batch) as (span, stamped):
            results = await self._storage.publish(stamped, now=now)
            if len(results) == 1:
                span.set_attribute(MESSAGE_ID, str(results[0].id))
        return results

    async def lease(
        self, queue: str, *, limit: int, lease_until: int, owner: str, now: int
    ) -> LeaseResult:
        """Lease messages; the span is linked to what published each of them."""
        options: dict[str, Any] = {
            "limit": limit,
            "lease_until": lease_until,
            "owner": owner,
            "now": now,
        }
        if _is_asked():
            with self._messaging("receive", "lease", [queue], SpanKind.CLIENT) as span:
                result = await self._storage.lease(queue, **options)
                _tell_leases(span, limit, result.leases)
            return result
        # A stream looks again and again, and most often there is nothing to tell of.
        begun = time_ns()
        result = await self._storage.lease(queue, **options)
        if result.leases:
            with self._messaging("receive", "lease", [queue], SpanKind.CLIENT, begun=begun) as span:
                _tell_leases(span, limit, result.leases)
        return result

    async def settle(
        self, ops: Sequence[Settle], *, now: int, publish: Sequence[NewMessage] = ()
    ) -> Settled:
        """Carry out operations; what is published with them is a span of its own."""
        kinds = {op.kind for op in ops}
        name = kinds.pop() if len(kinds) == 1 else "settle"
        about: dict[str, Any] = {"messaging.batch.message_count": len(ops)}
        if len(ops) == 1:
            about = {MESSAGE_ID: str(ops[0].id)}
        queues = (op.queue for op in ops)
        with self._messaging("settle", name, queues, SpanKind.CLIENT, about=about):
            if not publish:
                return await self._storage.settle(ops, now=now)
            with self._sending(publish) as (_, stamped):
                return await self._storage.settle(ops, now=now, publish=stamped)

    async def put_queue(self, spec: QueueSpec, *, expect: int | None, now: int) -> Queue:
        """Make a queue or change its policy."""
        with self._asked("put_queue", spec.name):
            return await self._storage.put_queue(spec, expect=expect, now=now)

    async def get_queues(
        self,
        *,
        names: Sequence[str] | None = None,
        prefix: str = "",
        after: str | None = None,
        limit: int = 100,
        now: int,
    ) -> list[QueueStatus]:
        """List queues."""
        with self._asked("get_queues"):
            return await self._storage.get_queues(
                names=names, prefix=prefix, after=after, limit=limit, now=now
            )

    async def drop_queue(self, name: str) -> bool:
        """Delete a queue."""
        with self._asked("drop_queue", name):
            return await self._storage.drop_queue(name)

    async def browse(self, query: MessageQuery, *, now: int) -> Page:
        """Look at messages."""
        with self._asked("browse", query.queue):
            return await self._storage.browse(query, now=now)

    async def browse_each(self, queries: Sequence[MessageQuery], *, now: int) -> list[Page]:
        """Look several times."""
        with self._asked("browse_each"):
            return await self._storage.browse_each(queries, now=now)

    async def bulk(
        self, query: MessageQuery, action: Literal["delete", "redrive"], *, now: int, limit: int
    ) -> list[BulkResult]:
        """Do `action` to messages."""
        with self._asked(f"bulk {action}", query.queue):
            return await self._storage.bulk(query, action, now=now, limit=limit)

    async def maintain(self, *, now: int, limit: int) -> Maintenance:
        """Do what time brings."""
        with self._asked("maintain"):
            return await self._storage.maintain(now=now, limit=limit)

    def watch(self) -> AsyncIterator[str]:
        """Yield names of queues with new work."""
        return self._storage.watch()

    @contextmanager
    def _sending(self, batch: Sequence[NewMessage]) -> Iterator[tuple[Span, Sequence[NewMessage]]]:
        """Have a span for a publish; give it, and the batch as it is to be stored."""
        about = {"messaging.batch.message_count": len(batch)} if len(batch) > 1 else {}
        links = [*islice(_own_contexts(batch), MAX_LINKS)]
        queues = (message.queue for message in batch)
        with self._messaging(
            "send", "publish", queues, SpanKind.PRODUCER, about=about, links=links
        ) as span:
            yield span, _stamped(batch, span)

    def _messaging(
        self,
        kind: Literal["send", "receive", "settle"],
        name: str,
        queues: Iterable[str],
        span_kind: SpanKind,
        *,
        about: Mapping[str, Any] | None = None,
        links: Sequence[Link] = (),
        begun: int | None = None,
    ) -> AbstractContextManager[Span]:
        current = get_current_span()
        context = current.get_span_context()
        if context.is_valid and not context.trace_flags.sampled:
            return nullcontext(current)  # no sampler records a part of what is not recorded
        attributes = {
            **self._common,
            "messaging.operation.type": kind,
            "messaging.operation.name": name,
            **(about or {}),
        }
        names = {*queues}
        if len(names) == 1:
            [queue] = names
            attributes["messaging.destination.name"] = queue
            name = f"{name} {queue}"
        return _open(
            self._tracer.start_span(
                name, kind=span_kind, attributes=attributes, links=links, start_time=begun
            )
        )

    def _asked(self, operation: str, queue: str | None = None) -> AbstractContextManager[Any]:
        if not get_current_span().get_span_context().trace_flags.sampled:
            return nullcontext()
        attributes = dict(self._common)
        if queue is not None:
            attributes["messaging.destination.name"] = queue
        return _open(self._tracer.start_span(f"storage {operation}", attributes=attributes))


def _is_asked() -> bool:
    """Tell whether a call is part of a trace."""
    return get_current_span().get_span_context().is_valid


@contextmanager
def _open(span: Span) -> Iterator[Span]:
    """Make a span the current one while the block runs, and end it."""
    token = attach(set_span_in_context(span))
    try:
        yield span
    except Exception as error:
        note_failure(span, error)
        raise
    finally:
        detach(token)
        span.end()


def _own_contexts(batch: Iterable[NewMessage]) -> Iterator[Link]:
    """Yield a link to each context that a sender gave a message."""
    for message in batch:
        if TRACEPARENT in message.headers and (context := read_context(message.headers)):
            yield Link(context)


def _stamped(batch: Sequence[NewMessage], span: Span) -> Sequence[NewMessage]:
    """Return messages that all carry a context: their own, whatever it is, or the span's."""
    context = span.get_span_context()
    if not context.is_valid:
        return batch
    carried = carried_by(context)
    return [
        message
        if TRACEPARENT in message.headers
        else msgspec.structs.replace(message, headers=with_context(message.headers, carried))
        for message in batch
    ]


def _tell_leases(span: Span, limit: int, leases: Sequence[Lease]) -> None:
    if not span.is_recording():
        return
    if limit > 1:
        span.set_attribute("messaging.batch.message_count", len(leases))
    elif leases:
        span.set_attribute(MESSAGE_ID, str(leases[0].message.id))
    for lease in leases:
        if (context := read_context(lease.message.headers)) is not None:
            span.add_link(context, {MESSAGE_ID: str(lease.message.id)})
