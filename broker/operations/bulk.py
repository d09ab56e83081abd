"""Doing something to many messages of a queue, in pieces, so that others get their turn."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Literal

from broker.auth import Identity
from broker.extend import EventKind
from broker.models import BulkResult, MessageQuery
from broker.operations.runtime import Runtime

BULK_LIMIT = 1000
"""Messages that one storage call deletes or redrives."""


async def do_in_bulk(
    runtime: Runtime,
    identity: Identity,
    query: MessageQuery,
    action: Literal["delete", "redrive"],
    kind: EventKind,
) -> int:
    """Delete or redrive what a query names of one queue; return how many, and tell it as `kind`."""
    assert query.queue is not None
    done = 0
    async for results in in_pieces(runtime, query, action):
        done += len(results)
        # What went may have held back the next of its group, or taken a place in flight.
        runtime.waiting.wake(query.queue, len(results))
        if action == "redrive":
            _note_redriven(runtime, identity, results)
        else:
            for result in results:
                runtime.holders.remove(result.id)
    runtime.observe(identity, kind, query.queue, count=done)
    return done


async def in_pieces(
    runtime: Runtime, query: MessageQuery, action: Literal["delete", "redrive"]
) -> AsyncIterator[Sequence[BulkResult]]:
    """Delete or redrive, and yield each piece of what is done."""
    assert query.queue is not None
    # What is there now, and not what arrives or fails again meanwhile, so that this ends.
    left = (await runtime.queues.status(query.queue)).counts.total
    while left > 0:
        limit = min(left, BULK_LIMIT)
        results = await runtime.storage.bulk(query, action, now=runtime.clock.now(), limit=limit)
        yield results
        left -= len(results)
        if len(results) < limit:
            break


def _note_redriven(runtime: Runtime, identity: Identity, results: Sequence[BulkResult]) -> None:
    for result in results:
        runtime.waiting.wake(result.queue)
    redriven = ((result.queue, result.id) for result in results)
    runtime.observe_messages(identity, "message.redriven", "pending", redriven)
