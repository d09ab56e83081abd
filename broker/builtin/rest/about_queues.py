"""What the API documentation tells of the routes of queues."""

from __future__ import annotations

from broker import (
    Answer,
    Body,
    Description,
    QueueExists,
    QueueFull,
    QueuePolicy,
    RateLimited,
    StorageFull,
    TooManyQueues,
    VersionMismatch,
)
from broker.builtin.rest.render import CountView, QueueView
from broker.builtin.rest.wire import Fields, QueuePath
from broker.builtin.rest.wire_queues import AgedPurge, Changing, Creating, ListOptions, NewQueue

TAG = "Queues"

QUEUE = {
    "id": 1,
    "name": "orders",
    "created_at": "2026-11-22T21:30:00.000Z",
    "updated_at": "2026-11-22T21:30:00.000Z",
    "version": 1,
    "paused": False,
    "message_count": 3,
    "policy": {"lease_seconds": 60, "max_deliveries": 5},
    "counts": {"pending": 2, "processing": 1, "processed": 0, "failed": 0, "scheduled": 0},
    "totals": {"published": 3, "delivered": 1},
    "bytes": 42,
    "oldest_at": "2026-11-22T21:31:12.345Z",
}
COUNTED = Answer(CountView, {"count": 3})
SWITCHED = Answer(CountView, {"count": 1})

LIST = Description(
    name="list_queues",
    tag=TAG,
    query=ListOptions,
    answers=(Answer(list[QueueView], [QUEUE], headers=("Link",)),),
    errors=(RateLimited,),
)
CREATE = Description(
    name="create_queue",
    tag=TAG,
    needs=("manage",),
    query=Fields,
    takes=(Body(NewQueue, {"name": "orders", "lease_seconds": 60, "max_deliveries": 5}),),
    answers=(Answer(QueueView, QUEUE, status=201, headers=("ETag", "Location")),),
    errors=(QueueExists, TooManyQueues, StorageFull),
)
GET = Description(
    name="get_queue",
    tag=TAG,
    needs=("read",),
    params=QueuePath,
    query=Fields,
    answers=(Answer(QueueView, QUEUE, headers=("ETag",)),),
)
PUT = Description(
    name="put_queue",
    tag=TAG,
    needs=("manage",),
    params=QueuePath,
    query=Fields,
    headers=Creating,
    takes=(Body(QueuePolicy, {"lease_seconds": 60, "dead_letter_queue": "failures"}),),
    answers=(
        Answer(QueueView, QUEUE, headers=("ETag",)),
        Answer(QueueView, QUEUE, status=201, headers=("ETag", "Location")),
    ),
    errors=(VersionMismatch, TooManyQueues, StorageFull),
)
PATCH = Description(
    name="patch_queue",
    tag=TAG,
    needs=("manage",),
    params=QueuePath,
    query=Fields,
    headers=Changing,
    takes=(Body(QueuePolicy, {"max_deliveries": 3}),),
    answers=(Answer(QueueView, QUEUE, headers=("ETag",)),),
    errors=(VersionMismatch, StorageFull),
)
DELETE = Description(
    name="delete_queue",
    tag=TAG,
    needs=("manage",),
    params=QueuePath,
    query=Fields,
    headers=Changing,
    answers=(Answer(status=204),),
    errors=(VersionMismatch, StorageFull),
)
PURGE = Description(
    name="purge_queue",
    tag=TAG,
    needs=("manage",),
    params=QueuePath,
    query=Fields,
    takes=(Body(AgedPurge, {"states": ["processed", "failed"], "older_than": 3600}),),
    is_body_optional=True,
    answers=(COUNTED,),
    errors=(StorageFull,),
)
REDRIVE = Description(
    name="redrive_queue",
    tag=TAG,
    needs=("manage",),
    params=QueuePath,
    query=Fields,
    takes=(Body(Fields, {}),),
    is_body_optional=True,
    answers=(COUNTED,),
    errors=(QueueFull, StorageFull),
)
PAUSE = Description(
    name="pause_queue",
    tag=TAG,
    needs=("manage",),
    params=QueuePath,
    query=Fields,
    takes=(Body(Fields, {}),),
    is_body_optional=True,
    answers=(SWITCHED,),
    errors=(StorageFull,),
)
RESUME = Description(
    name="resume_queue",
    tag=TAG,
    needs=("manage",),
    params=QueuePath,
    query=Fields,
    takes=(Body(Fields, {}),),
    is_body_optional=True,
    answers=(SWITCHED,),
    errors=(StorageFull,),
)
