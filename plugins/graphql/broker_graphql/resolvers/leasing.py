"""Leasing."""

from __future__ import annotations

from typing import Any

from broker import Deliveries

from broker_graphql.execution import Execution
from broker_graphql.resolvers.arguments import told_as


async def lease(
    execution: Execution,
    _: Any,
    *,
    queue: str,
    limit: int,
    wait: float,
    lease_seconds: int | None = None,
) -> Deliveries:
    """Lease messages; with none there, wait for one."""
    with told_as():
        found = await execution.broker.lease(
            execution.identity,
            queue,
            limit=limit,
            wait=execution.shorten(wait),
            lease_seconds=lease_seconds,
            recheck=execution.recheck,
        )
    execution.hold(found.deliveries)
    return found
