"""What changes queues: making, deleting, emptying, pausing them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from broker import QueuePolicy, QueueSpec, QueueStatus, StateFilter

from broker_graphql.execution import Execution
from broker_graphql.resolvers.arguments import told_as

NAME = ("queue", "name")
POLICY = (r"(\w+)", r"policy.\1")


async def create_queue(
    execution: Execution, _: Any, *, name: str, policy: Mapping[str, Any] | None = None
) -> QueueStatus:
    """Make a queue that must be new."""
    spec = QueueSpec(name, QueuePolicy(**(policy or {})))
    with told_as(NAME, POLICY):
        await execution.broker.queues.create(execution.identity, spec)
    return await execution.broker.queues.status(execution.identity, name)


async def update_queue(
    execution: Execution,
    _: Any,
    *,
    name: str,
    policy: Mapping[str, Any],
    version: int | None = None,
) -> QueueStatus:
    """Change the fields of a queue's policy that are given."""
    queues = execution.broker.queues
    with told_as(NAME, POLICY):
        await queues.patch(execution.identity, name, dict(policy), expect=version)
    return await queues.status(execution.identity, name)


async def delete_queue(
    execution: Execution, _: Any, *, name: str, version: int | None = None
) -> bool:
    """Delete a queue with all that it holds."""
    with told_as(NAME):
        await execution.broker.queues.drop(execution.identity, name, expect=version)
    return True


async def purge(
    execution: Execution,
    _: Any,
    *,
    queue: str,
    states: list[StateFilter],
    older_than: float | None = None,
) -> int:
    """Remove the messages of a queue that are in some states."""
    with told_as():
        return await execution.broker.queues.purge(
            execution.identity, queue, states=tuple(dict.fromkeys(states)), older_than=older_than
        )


async def redrive(execution: Execution, _: Any, *, queue: str) -> int:
    """Bring failed messages and dead letters back to where they came from."""
    return await execution.broker.queues.redrive(execution.identity, queue)


async def pause(execution: Execution, _: Any, *, queue: str) -> QueueStatus:
    """Stop leasing from a queue."""
    return await _pause(execution, queue, paused=True)


async def resume(execution: Execution, _: Any, *, queue: str) -> QueueStatus:
    """Lease from a queue again."""
    return await _pause(execution, queue, paused=False)


async def _pause(execution: Execution, queue: str, *, paused: bool) -> QueueStatus:
    queues = execution.broker.queues
    await queues.pause(execution.identity, queue, paused=paused)
    return await queues.status(execution.identity, queue)
