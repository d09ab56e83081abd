"""Publishing."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from broker import Invalid, PublishResult

from broker_graphql.execution import Execution
from broker_graphql.resolvers.arguments import read_draft, told_as

QUEUE = (r"messages\[\d+\]\.queue", "queue")
ONE = (r"(?:messages\[0\]\.)?(.+)", r"message.\1")
SOME = (r"(?!messages\b)(.+)", r"messages[].\1")
"""A plugin, or the storage, names no message of several."""


async def publish_message(
    execution: Execution, _: Any, *, queue: str, message: Mapping[str, Any]
) -> PublishResult:
    """Publish one message."""
    draft = read_draft(queue, message, "message")
    with told_as(QUEUE, ONE):
        [result] = await execution.broker.publish(execution.identity, [draft])
    return result


async def publish_messages(
    execution: Execution, _: Any, *, queue: str, messages: list[Mapping[str, Any]]
) -> list[PublishResult]:
    """Publish several messages to one queue, all or none."""
    drafts = Invalid.gather(
        *(
            partial(read_draft, queue, message, f"messages[{index}]")
            for index, message in enumerate(messages)
        )
    )
    with told_as(QUEUE, SOME):
        return await execution.broker.publish(execution.identity, drafts)
