"""What clients of the earlier API look at."""

from __future__ import annotations

from typing import Any, get_args

from broker import (
    FieldError,
    Invalid,
    Message,
    MessageQuery,
    MessageTooLarge,
    QueueStatus,
    StateFilter,
    limits,
)
from msgspec.structs import replace

from broker_graphql.execution import Execution
from broker_graphql.fields import Resolver
from broker_graphql.resolvers.arguments import MAX_SHOWN
from broker_graphql.resolvers.queries import message, queue

MAX_OFFSET = 10_000

MAX_READS = 32
"""How many pages are read of messages that are left out: three times as many as their number takes,
but not as many as contents of any size would."""

STATES: tuple[StateFilter, ...] = get_args(StateFilter)


async def all_queues(execution: Execution, _: Any) -> list[QueueStatus]:
    """Return the queues that may be read, as many as one page holds; raises Refused if so much of
    so many costs too much."""
    found = await execution.broker.queues.list(execution.identity, limit=limits.MAX_PAGE)
    execution.price.check(queues=len(found))
    return found


async def messages(
    execution: Execution,
    source: QueueStatus,
    *,
    limit: int,
    offset: int,
    status: str | None = None,
) -> list[Message]:
    """Return messages of a queue, with so many left out before; all that are asked for, or none,
    for whoever counts them to go on would miss some."""
    _check(status, limit, offset)
    states = tuple(state for state in STATES if state == status)
    query = MessageQuery(queue=source.queue.name, states=states)
    begin = await _pass_over(execution, query, offset) if offset else 0
    if begin is None:
        return []
    page = await execution.pages.load(replace(query, after=begin, limit=limit))
    if page.after is not None and len(page.messages) < limit:
        raise MessageTooLarge(
            f"the contents are more than {limits.MAX_BATCH_BYTES} bytes; ask for fewer messages"
        )
    return page.messages


async def _pass_over(execution: Execution, query: MessageQuery, offset: int) -> int | None:
    """Return the id of the last that is left out, None if nothing comes after."""
    for _ in range(MAX_READS):
        page = await execution.pages.load(replace(query, limit=min(offset, limits.MAX_PAGE)))
        if page.after is None:
            return None
        offset -= len(page.messages)
        if not offset:
            return page.after
        query = replace(query, after=page.after)
    raise MessageTooLarge("the contents of what is left out are too large; go on by cursors")


def _check(status: str | None, limit: int, offset: int) -> None:
    errors = []
    if status is not None and status not in STATES:
        words = ", ".join(f'"{state}"' for state in STATES)
        errors.append(FieldError("status", f"expected one of {words}", status[:MAX_SHOWN]))
    if not 1 <= limit <= limits.MAX_PAGE:
        errors.append(FieldError("limit", f"expected 1 to {limits.MAX_PAGE}", limit))
    if not 0 <= offset <= MAX_OFFSET:
        errors.append(FieldError("offset", f"expected 0 to {MAX_OFFSET}", offset))
    if errors:
        raise Invalid(errors)


PLAIN: dict[str, Resolver] = {
    "Query.allQueues": all_queues,
    "Query.queueByName": queue,
    "Query.messageById": message,
    "PlainQueue.messages": messages,
}
