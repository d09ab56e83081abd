"""What the API documentation tells of the routes of messages, but for settling."""

from __future__ import annotations

from typing import get_args

import msgspec

from broker import (
    Answer,
    Body,
    Description,
    EndReason,
    NotAcceptable,
    QueueFull,
    Rejected,
    StorageFull,
    TooManyStreams,
    TooManyWaiting,
    Unsupported,
    end_event,
    write_event,
)
from broker.builtin.rest.render import (
    BatchView,
    DeliveriesView,
    EndView,
    MessageView,
    PageView,
    PublishView,
)
from broker.builtin.rest.wire import (
    Batch,
    BrowseOptions,
    ConsumeOptions,
    Fields,
    LeaseOptions,
    MessagePath,
    OneOutgoing,
    PublishHeaders,
    QueuePath,
    RawOptions,
    StreamOptions,
)

TAG = "Messages"

RECEIPT = "Gko0UHmkT_iwmXTLzHGJHwAAAAAAAAAHAAAAAW9yZGVycw"
DRAFT = {"content": "hello", "content_type": "text/plain", "priority": 7, "delay": 5}
MESSAGE = {
    "id": 7,
    "message_id": 7,
    "queue": "orders",
    "queue_id": 1,
    "content": "hello",
    "content_type": "text/plain",
    "headers": {"trace": "4bf92f35"},
    "priority": 7,
    "group": None,
    "dedup_key": None,
    "status": "pending",
    "created_at": "2026-11-22T21:31:07.345Z",
    "updated_at": "2026-11-22T21:31:07.345Z",
    "visible_at": "2026-11-22T21:31:12.345Z",
    "expires_at": None,
    "delivery_count": 0,
    "first_delivered_at": None,
    "finished_at": None,
    "reason": None,
    "origin_queue": None,
    "leased_by": None,
}
DELIVERY = {
    **MESSAGE,
    "status": "processing",
    "delivery_count": 1,
    "first_delivered_at": "2026-11-22T21:31:20.000Z",
    "leased_by": "worker-1",
    "receipt": RECEIPT,
    "lease_expires_at": "2026-11-22T21:31:50.000Z",
}
AS_LINE = msgspec.json.encode(DELIVERY).decode() + "\n"
AS_EVENT = write_event("message", msgspec.json.encode(DELIVERY)).decode()
PUBLISHED = {
    "message": "Message published successfully.",
    "message_id": 7,
    "duplicate": False,
}
ENDS = {end_event(reason): Body(EndView, {"reason": reason}) for reason in get_args(EndReason)}
REFUSED = (QueueFull, Rejected, Unsupported, StorageFull)
"""What else a publish may be answered with."""

PUBLISH = Description(
    name="publish_message",
    tag=TAG,
    needs=("publish",),
    params=QueuePath,
    query=RawOptions,
    headers=PublishHeaders,
    takes=(Body(OneOutgoing, DRAFT), Body(bytes, "hello", "*/*")),
    is_body_optional=True,
    answers=(Answer(PublishView, PUBLISHED, status=201, headers=("Location",)),),
    errors=REFUSED,
)
PUBLISH_BATCH = Description(
    name="publish_messages",
    tag=TAG,
    needs=("publish",),
    params=QueuePath,
    query=Fields,
    takes=(Body(Batch, {"messages": [DRAFT, {"content_base64": "aGVsbG8="}]}),),
    answers=(
        Answer(
            BatchView,
            {
                "results": [
                    {"message_id": 7, "duplicate": False},
                    {"message_id": 8, "duplicate": False},
                ]
            },
        ),
    ),
    errors=REFUSED,
)
LEASE = Description(
    name="lease_messages",
    tag=TAG,
    needs=("consume",),
    params=QueuePath,
    query=Fields,
    takes=(Body(LeaseOptions, {"limit": 10, "wait": 0.5, "lease_seconds": 60}),),
    is_body_optional=True,
    answers=(
        Answer(
            DeliveriesView, {"messages": [DELIVERY], "paused": False}, headers=("Cache-Control",)
        ),
    ),
    errors=(TooManyWaiting, StorageFull),
)
CONSUME = Description(
    name="consume_message",
    tag=TAG,
    needs=("consume",),
    params=QueuePath,
    query=ConsumeOptions,
    answers=(
        Answer(MessageView, DELIVERY, headers=("Cache-Control",)),
        Answer(status=204, headers=("Cache-Control",)),
    ),
    errors=(TooManyWaiting, StorageFull),
)
STREAM = Description(
    name="stream_messages",
    tag=TAG,
    needs=("consume",),
    params=QueuePath,
    query=StreamOptions,
    answers=(
        Answer(bytes, AS_EVENT, "text/event-stream", headers=("Cache-Control",)),
        Answer(bytes, AS_LINE, "application/x-ndjson"),
    ),
    events={"message": Body(MessageView, DELIVERY), **ENDS},
    errors=(NotAcceptable, TooManyStreams, StorageFull),
)
BROWSE = Description(
    name="browse_messages",
    tag=TAG,
    needs=("read",),
    params=QueuePath,
    query=BrowseOptions,
    answers=(Answer(PageView, {"messages": [MESSAGE], "after": None}, headers=("Link",)),),
    errors=(Unsupported,),
)
GET = Description(
    name="get_message",
    tag=TAG,
    needs=("read",),
    params=MessagePath,
    query=Fields,
    answers=(Answer(MessageView, MESSAGE),),
)
DELETE = Description(
    name="delete_message",
    tag=TAG,
    needs=("manage",),
    params=MessagePath,
    query=Fields,
    answers=(Answer(status=204),),
    errors=(StorageFull,),
)
