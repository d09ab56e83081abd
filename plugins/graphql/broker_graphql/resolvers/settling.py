"""Settling: ending or changing leases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from broker import (
    FieldError,
    Invalid,
    NothingSettled,
    Receipt,
    Settled,
    Settlement,
    SettleResult,
)

from broker_graphql.execution import Execution
from broker_graphql.resolvers.arguments import (
    MAX_SHOWN,
    read_draft,
    read_id,
    read_one_receipt,
    told_as,
)

PUBLISHED = (r"(publish\[\d+\])\.(?!queue\b)(\w+)", r"\1.message.\2")
SOME = (r"(?!publish\b|settlements\b)(.+)", r"publish[].message.\1")
"""A plugin, or the storage, names no message of several."""
ONE = (r"settlements\[0\]\.(\w+)", r"\1")


async def settle(
    execution: Execution,
    _: Any,
    *,
    settlements: list[Mapping[str, Any]],
    publish: list[Mapping[str, Any]],
) -> Settled:
    """Settle many leases, each by itself; with `publish`, all or nothing."""
    wanted = Invalid.gather(
        *(
            partial(_read_settlement, settlement, f"settlements[{index}].receipt")
            for index, settlement in enumerate(settlements)
        )
    )
    drafts = Invalid.gather(
        *(
            partial(read_draft, one["queue"], one["message"], f"publish[{index}].message")
            for index, one in enumerate(publish)
        )
    )
    with told_as(PUBLISHED, SOME):
        settled = await execution.broker.settle(execution.identity, wanted, publish=drafts)
    if drafts:
        _demand_all_ok(settled.results)
    return settled


async def ack(
    execution: Execution,
    _: Any,
    *,
    id: str,  # noqa: A002  # the schema's word
    receipt: str | None = None,
) -> SettleResult:
    """End a lease: the message is processed."""
    proof = await _find_lease(execution, id, receipt)
    return await execution.broker.settle_one(
        execution.identity, Settlement(receipt=proof, kind="ack")
    )


async def nack(
    execution: Execution,
    _: Any,
    *,
    id: str,  # noqa: A002  # the schema's word
    requeue: bool,
    receipt: str | None = None,
    delay: float | None = None,
    reason: str | None = None,
) -> SettleResult:
    """End a lease: the message is tried again with `requeue`, else it fails."""
    if delay is not None and not requeue:
        raise Invalid([FieldError("delay", "needs requeue: true", delay)])
    proof = await _find_lease(execution, id, receipt)
    settlement = Settlement(
        receipt=proof, kind="retry" if requeue else "reject", delay=delay, reason=reason
    )
    with told_as(ONE):
        return await execution.broker.settle_one(execution.identity, settlement)


async def _find_lease(execution: Execution, id_text: str, receipt_text: str | None) -> Receipt:
    message_id = read_id(id_text)
    if receipt_text is None:
        return await execution.broker.unfenced(execution.identity, message_id)
    receipt = read_one_receipt(receipt_text)
    if receipt.message_id != message_id:
        problem = f"is of message {receipt.message_id}, not of {message_id}"
        raise Invalid([FieldError("receipt", problem, receipt_text[:MAX_SHOWN])])
    return receipt


def _read_settlement(settlement: Mapping[str, Any], field: str) -> Settlement:
    receipt = read_one_receipt(settlement["receipt"], field)
    return Settlement(**{**settlement, "receipt": receipt})


def _demand_all_ok(results: Sequence[SettleResult]) -> None:
    failed = [
        FieldError(f"settlements[{index}]", result.outcome.upper())
        for index, result in enumerate(results)
        if result.outcome != "ok"
    ]
    if failed:
        raise NothingSettled(failed, of=len(results))
