"""The routes that settle leases: many at once, or one message by its id."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

import msgspec
from msgspec import UNSET

from broker import (
    Broker,
    FieldError,
    Identity,
    Invalid,
    NothingSettled,
    Receipt,
    Request,
    Response,
    Route,
    SettleKind,
    Settlement,
    SettleResult,
    json_response,
    limits,
    read_receipt,
    timestamp,
)
from broker.builtin.rest import about_settling as about
from broker.builtin.rest.drafting import draft_message
from broker.builtin.rest.explain import explain, shorten
from broker.builtin.rest.reading import (
    read_body,
    read_id,
    read_optional_body,
    read_query,
)
from broker.builtin.rest.render import (
    DetailView,
    ExtendedView,
    SettledView,
    view_published,
    view_results,
)
from broker.builtin.rest.wire import MAX_MESSAGES, Fields
from broker.builtin.rest.wire_settling import (
    Extend,
    Item,
    Nack,
    NackOptions,
    OneReceipt,
    Settlements,
)

KINDS: tuple[SettleKind, ...] = ("ack", "retry", "release", "reject", "extend")
Place = tuple[SettleKind, int]

B = TypeVar("B", bound=OneReceipt)
Q = TypeVar("Q", bound=Fields)


class SettleRoutes:
    """How consumers end or change their leases."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def routes(self) -> tuple[Route, ...]:
        """Return the routes."""
        most = limits.MAX_BATCH_BYTES
        return (
            Route(
                "POST",
                "/messages/settle",
                self.settle,
                hot=True,
                max_body=most,
                described=about.SETTLE,
            ),
            Route("POST", "/messages/{id}/ack", self.ack, hot=True, described=about.ACK),
            Route("POST", "/messages/{id}/nack", self.nack, hot=True, described=about.NACK),
            Route("POST", "/messages/{id}/extend", self.extend, described=about.EXTEND),
            Route("POST", "/messages/{id}/release", self.release, described=about.RELEASE),
        )

    async def settle(self, request: Request) -> Response:
        """Settle many leases, each by itself; with `publish`, all or nothing."""
        identity = await self._broker.identify_request(request)
        _, (body, placed) = Invalid.gather(
            lambda: read_query(request, Fields), lambda: _read_settlements(request)
        )
        drafts = [draft_message(message, message.queue) for message in body.publish]
        places = [place for place, _ in placed]
        settlements = [settlement for _, settlement in placed]
        settled = await self._broker.settle(identity, settlements, publish=drafts)
        if drafts:
            _demand_all_ok(places, settled.results)
        return json_response(
            SettledView(
                results=view_results(places, settled.results),
                published=view_published(settled.published) if drafts else UNSET,
            )
        )

    async def ack(self, request: Request) -> Response:
        """End a lease: the message is processed."""
        identity, receipt, _, _ = await self._read_one(request, OneReceipt, Fields)
        await self._broker.settle_one(identity, Settlement(receipt=receipt, kind="ack"))
        return _detail(f"Message {receipt.message_id} acknowledged successfully.")

    async def nack(self, request: Request) -> Response:
        """End a lease: the message is tried again with `requeue=true`, else it fails."""
        identity, receipt, body, options = await self._read_one(request, Nack, NackOptions)
        if body.delay is not None and not options.requeue:
            raise Invalid([FieldError("delay", "needs requeue=true", body.delay)])
        result = await self._broker.settle_one(
            identity,
            Settlement(
                receipt=receipt,
                kind="retry" if options.requeue else "reject",
                delay=body.delay,
                reason=body.reason,
            ),
        )
        # A retry fails when the message was delivered too often, and may be a dead letter then.
        requeued = options.requeue and (result.state, result.queue) == ("pending", receipt.queue)
        outcome = "requeued (pending)" if requeued else "marked as failed"
        return _detail(f"Message {receipt.message_id} successfully {outcome}.")

    async def extend(self, request: Request) -> Response:
        """Prolong a lease."""
        identity, receipt, body, _ = await self._read_one(request, Extend, Fields)
        result = await self._broker.settle_one(
            identity, Settlement(receipt=receipt, kind="extend", seconds=body.seconds)
        )
        assert result.visible_at is not None, "a storage tells to when it extended a lease"
        view = ExtendedView(
            detail=f"The lease of message {receipt.message_id} was extended successfully.",
            lease_expires_at=timestamp(result.visible_at),
        )
        return json_response(view)

    async def release(self, request: Request) -> Response:
        """Give a message back as if it had not been delivered."""
        identity, receipt, _, _ = await self._read_one(request, OneReceipt, Fields)
        await self._broker.settle_one(identity, Settlement(receipt=receipt, kind="release"))
        return _detail(f"Message {receipt.message_id} released successfully.")

    async def _read_one(
        self, request: Request, body_kind: type[B], query_kind: type[Q]
    ) -> tuple[Identity, Receipt, B, Q]:
        identity = await self._broker.identify_request(request)
        message_id, options, body = Invalid.gather(
            lambda: read_id(request),
            lambda: read_query(request, query_kind),
            lambda: read_optional_body(request, body_kind),
        )
        if body.receipt is None:
            return identity, await self._broker.unfenced(identity, message_id), body, options
        receipt = _read_receipt(request, body)
        if receipt.message_id != message_id:
            problem = f"is of message {receipt.message_id}, not of {message_id}"
            raise Invalid([FieldError("receipt", problem, shorten(body.receipt))])
        return identity, receipt, body, options


def _read_receipt(request: Request, body: OneReceipt) -> Receipt:
    assert body.receipt is not None
    try:
        return read_receipt(body.receipt)
    except ValueError as error:
        raise explain(request.body, type(body), error) from error


def _read_settlements(request: Request) -> tuple[Settlements, list[tuple[Place, Settlement]]]:
    body = read_body(request, Settlements)
    try:
        placed = list(_settlements(body))
    except ValueError as error:
        raise explain(request.body, Settlements, error) from error
    if len(placed) > MAX_MESSAGES:
        (kind, _), _ = placed[MAX_MESSAGES]
        problem = f"expected at most {MAX_MESSAGES} receipts in all lists, got {len(placed)}"
        raise Invalid([FieldError(kind, problem)])
    return body, placed


def _settlements(body: Settlements) -> Iterator[tuple[Place, Settlement]]:
    for kind in KINDS:
        for index, item in enumerate(getattr(body, kind)):
            yield (kind, index), _settlement(kind, item)


def _settlement(kind: SettleKind, item: str | Item) -> Settlement:
    if isinstance(item, str):
        return Settlement(receipt=read_receipt(item), kind=kind)
    options = msgspec.structs.asdict(item)
    options["receipt"] = read_receipt(item.receipt)
    return Settlement(kind=kind, **options)


def _demand_all_ok(places: Sequence[Place], results: Sequence[SettleResult]) -> None:
    failed = [
        FieldError(f"{kind}[{index}]", result.outcome)
        for (kind, index), result in zip(places, results, strict=True)
        if result.outcome != "ok"
    ]
    if failed:
        raise NothingSettled(failed, of=len(results))


def _detail(detail: str) -> Response:
    return json_response(DetailView(detail=detail))
