"""What can be looked at."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from broker import Identity, QueueStatus

from broker_graphql.execution import Execution


async def queue(execution: Execution, _: Any, *, name: str) -> QueueStatus:
    """Return one queue."""
    return await execution.broker.queues.get(execution.identity, name)


async def me(execution: Execution, _: Any) -> Identity:
    """Return who asks."""
    return execution.identity


async def scopes(_: Execution, identity: Identity) -> list[str]:
    """Return what an identity may do, in order."""
    return sorted(identity.scopes)


QUERIES: dict[str, Callable[..., Awaitable[Any]]] = {
    "Query.queue": queue,
    "Query.me": me,
    "Me.scopes": scopes,
}
