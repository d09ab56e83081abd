"""What the API documentation tells of the routes that settle leases."""

from __future__ import annotations

from broker import (
    Answer,
    Body,
    Description,
    LeaseLost,
    NothingSettled,
    QueueFull,
    QueueNotFound,
    Rejected,
    StorageFull,
    Unsupported,
    WrongState,
)
from broker.builtin.rest.about_messages import RECEIPT
from broker.builtin.rest.render import DetailView, ExtendedView, SettledView
from broker.builtin.rest.wire import Fields, MessagePath
from broker.builtin.rest.wire_settling import Extend, Nack, NackOptions, OneReceipt, Settlements

TAG = "Settling"

LOST = (LeaseLost, WrongState, StorageFull)

SETTLE = Description(
    name="settle_messages",
    tag=TAG,
    needs=("consume", "publish"),
    query=Fields,
    takes=(
        Body(
            Settlements,
            {"ack": [RECEIPT], "retry": [{"receipt": RECEIPT, "delay": 30, "reason": "busy"}]},
        ),
    ),
    answers=(
        Answer(
            SettledView,
            {
                "results": [
                    {
                        "kind": "ack",
                        "index": 0,
                        "message_id": 7,
                        "outcome": "ok",
                        "status": "processed",
                        "queue": "orders",
                    },
                    {"kind": "retry", "index": 0, "message_id": 7, "outcome": "stale"},
                ]
            },
        ),
    ),
    errors=(NothingSettled, QueueNotFound, QueueFull, Rejected, Unsupported, StorageFull),
)
ACK = Description(
    name="ack_message",
    tag=TAG,
    needs=("consume",),
    params=MessagePath,
    query=Fields,
    takes=(Body(OneReceipt, {"receipt": RECEIPT}),),
    is_body_optional=True,
    answers=(Answer(DetailView, {"detail": "Message 7 acknowledged successfully."}),),
    errors=LOST,
)
NACK = Description(
    name="nack_message",
    tag=TAG,
    needs=("consume",),
    params=MessagePath,
    query=NackOptions,
    takes=(Body(Nack, {"receipt": RECEIPT, "reason": "no such customer"}),),
    is_body_optional=True,
    answers=(Answer(DetailView, {"detail": "Message 7 successfully marked as failed."}),),
    errors=LOST,
)
EXTEND = Description(
    name="extend_lease",
    tag=TAG,
    needs=("consume",),
    params=MessagePath,
    query=Fields,
    takes=(Body(Extend, {"receipt": RECEIPT, "seconds": 120}),),
    is_body_optional=True,
    answers=(
        Answer(
            ExtendedView,
            {
                "detail": "The lease of message 7 was extended successfully.",
                "lease_expires_at": "2026-11-22T21:33:20.000Z",
            },
        ),
    ),
    errors=LOST,
)
RELEASE = Description(
    name="release_message",
    tag=TAG,
    needs=("consume",),
    params=MessagePath,
    query=Fields,
    takes=(Body(OneReceipt, {"receipt": RECEIPT}),),
    is_body_optional=True,
    answers=(Answer(DetailView, {"detail": "Message 7 released successfully."}),),
    errors=LOST,
)
