"""The routes that show the files of the log, to admins."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from broker import (
    Answer,
    Broker,
    Description,
    LogFiles,
    LogLevel,
    LogNotFound,
    Moment,
    RateLimited,
    Request,
    Response,
    Route,
    Spending,
    json_response,
)
from broker.builtin.rest.about_status import TAG
from broker.builtin.rest.reading import read_query
from broker.builtin.rest.wire import Fields

MOST_ENTRIES = 10_000

LAST_MS = 253_402_300_799_999
"""The end of the year 9999. Nothing was logged beyond, but a time with an offset may lie there."""

T = TypeVar("T")

At = Annotated[
    datetime, Meta(tz=True, description="a time as RFC 3339 has it, 2026-11-22T21:30:00Z say")
]


NAME = "broker_log_20261122T213000123Z.json"


class LogOptions(Fields, frozen=True, kw_only=True):
    """The query string of a look into a file of the log; `start` and `end` are included."""

    start: At | None = None
    """Only entries of then or later."""
    end: At | None = None
    """Only entries of then or earlier."""
    level: LogLevel = "debug"
    """Only entries that are so severe, or more."""
    tail: Annotated[int, Meta(ge=1, le=MOST_ENTRIES)] = 1000
    """At most so many, the newest."""


class LogPath(Fields, frozen=True, kw_only=True):
    """The path of a file of the log."""

    name: Annotated[str, Meta(examples=[NAME])]
    """The name of a file, as the list of them has it."""


class LogsView(msgspec.Struct, frozen=True):
    """The files of the log."""

    log_files: list[str]
    """Their names, the newest first."""


class EntryView(msgspec.Struct, frozen=True, kw_only=True):
    """What every entry has; most have more."""

    timestamp: Moment
    """When it happened."""
    level: LogLevel
    """How severe it is."""
    message: str
    """What happened."""


ENTRY = {
    "timestamp": "2026-11-22T21:30:00.123Z",
    "level": "info",
    "message": "POST /queues/{queue}/messages",
    "logger": "broker.access",
    "request_id": "8f2c41d09a7b-1c",
    "method": "POST",
    "route": "/queues/{queue}/messages",
    "status": 201,
    "duration_ms": 1.874,
    "peer": "203.0.113.7",
    "identity": "ana",
    "queue": "orders",
}
LIST = Description(
    name="list_logs",
    tag=TAG,
    needs=("admin",),
    query=Fields,
    answers=(Answer(LogsView, {"log_files": [NAME]}),),
    errors=(RateLimited,),
)
SHOW = Description(
    name="get_log",
    tag=TAG,
    needs=("admin",),
    params=LogPath,
    query=LogOptions,
    answers=(Answer(list[EntryView], [ENTRY]),),
    errors=(RateLimited, LogNotFound),
)


class LogRoutes:
    """What was logged, as far as it is still there."""

    def __init__(self, broker: Broker, *, data_dir: Path) -> None:
        self._broker = broker
        self._files = LogFiles(data_dir)
        self._reading = asyncio.Lock()

    def routes(self) -> tuple[Route, ...]:
        """Return the routes."""
        return (
            Route("GET", "/logs", self.list, described=LIST),
            Route("GET", "/logs/{name}", self.show, described=SHOW),
        )

    async def list(self, request: Request) -> Response:
        """Name the files of the log, newest first."""
        await self._admit(request)
        read_query(request, Fields)
        return json_response({"log_files": await self._alone(self._files.names)})

    async def show(self, request: Request) -> Response:
        """Show entries of a file of the log, oldest first."""
        await self._admit(request)
        asked = read_query(request, LogOptions)
        read = partial(
            self._files.read,
            request.params["name"],
            start=_milliseconds(asked.start),
            end=_milliseconds(asked.end),
            level=asked.level,
            tail=asked.tail,
        )
        return json_response(await self._alone(read))

    async def _alone(self, read: Callable[[], T]) -> T:
        """Call this in a thread, once no other such call goes on: it has a file in memory, or waits
        for a disk that hangs, although the client may be gone."""
        await self._reading.acquire()
        reading = asyncio.ensure_future(asyncio.to_thread(read))
        reading.add_done_callback(lambda _: self._reading.release())
        return await asyncio.shield(reading)

    async def _admit(self, request: Request) -> None:
        identity = await self._broker.identify_request(request)
        self._broker.demand_admin(identity)
        await self._broker.spend(Spending(activity="read", peer=identity.peer, identity=identity))


def _milliseconds(moment: datetime | None) -> int | None:
    if moment is None:
        return None
    return min(max(int(moment.timestamp() * 1000), 0), LAST_MS)
