"""What can be looked at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from broker import Identity, Message, MessageQuery, QueueStatus, StateFilter

from broker_graphql.execution import Execution
from broker_graphql.fields import Resolver
from broker_graphql.resolvers.arguments import read_id, told_as
from broker_graphql.resolvers.paging import (
    Connection,
    connect_messages,
    connect_queues,
    read_slice,
)


async def queues(
    execution: Execution, _: Any, *, first: int, prefix: str, after: str | None = None
) -> Connection:
    """Return a page of the queues that may be read."""
    begin = read_slice("queue", first, after)
    # One more than the page holds, to find out whether there is a next one.
    found = await execution.broker.queues.list(
        execution.identity, prefix=prefix, after=begin, limit=first + 1
    )
    return connect_queues(found, first=first, after=after)


async def queue(execution: Execution, _: Any, *, name: str) -> QueueStatus:
    """Return one queue."""
    with told_as(("queue", "name")):
        return await execution.queues.load(name)


async def messages(
    execution: Execution,
    source: QueueStatus,
    *,
    first: int,
    state: Sequence[StateFilter] | None = None,
    after: str | None = None,
    search: str | None = None,
) -> Connection:
    """Return a page of the messages of a queue."""
    begin = read_slice("message", first, after)
    query = MessageQuery(
        queue=source.queue.name,
        states=tuple(dict.fromkeys(state or ())),
        after=int(begin or 0),
        limit=first,
        text=search,
    )
    with told_as(("q", "search")):
        page = await execution.pages.load(query)
    return connect_messages(page, after=after)


async def message(execution: Execution, _: Any, *, id: str) -> Message:  # noqa: A002  # the schema's word
    """Return one message."""
    return await execution.broker.get_message(execution.identity, read_id(id))


def me(execution: Execution, _: Any) -> Identity:
    """Return who asks."""
    return execution.identity


def scopes(_: Execution, identity: Identity) -> list[str]:
    """Return what an identity may do, in order."""
    return sorted(identity.scopes)


QUERIES: dict[str, Resolver] = {
    "Query.queues": queues,
    "Query.queue": queue,
    "Query.message": message,
    "Query.me": me,
    "Queue.messages": messages,
    "Me.scopes": scopes,
}
