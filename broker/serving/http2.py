"""HTTP/2 (RFC 9113) for Hypercorn: one connection, whose streams are served side by side.

Hypercorn's own class ends a whole connection for one request: for a body that comes after its
answer, a request without a path, a priority. It forgets frames when a request is interrupted, and
lets a client begin, and reset, as many requests as it likes. So of Hypercorn only the connections
and their timers are used here. The frames are made and read by the library h2.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from h2 import events
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings
from h2.stream import H2Stream
from hypercorn.events import Closed, Event, RawData, Updated

from broker.limits import MAX_BATCH_BYTES
from broker.serving.endpoint import MAX_HEAD_BYTES, MAX_STREAMS
from broker.serving.http2_stream import (
    Fields,
    MalformedError,
    Stream,
    length_of,
    make_head,
    make_scope,
)
from broker.serving.refusal import make_refusal

SLICE_BYTES = 4096
"""How much is read before others have their turn: a thousand frames can stand in little more."""

MAX_IDLE_FRAMES = 1000
"""How many frames that ask for nothing, or that take back what was asked, may come between two
answers: pings, settings, priorities, resets (CVE-2019-9512 and following, CVE-2023-44487), and
bodies that make the server reset (CVE-2025-8671)."""

MAX_LATE_BYTES = 4 * MAX_BATCH_BYTES
"""How much of a body may come after its answer; not every client stops at once."""

logger = logging.getLogger("broker.hypercorn")

_CONFIG = H2Configuration(
    client_side=False,
    header_encoding=None,
    # Or the library would end the connection, with all its requests, for one that is malformed.
    validate_inbound_headers=False,
)
_SETTINGS = {
    SettingCodes.MAX_CONCURRENT_STREAMS: MAX_STREAMS,
    SettingCodes.MAX_HEADER_LIST_SIZE: MAX_HEAD_BYTES,
}

REPLACED = (
    (H2Connection, "_begin_new_stream"),
    (H2Connection, "_receive_frame"),
    (H2Connection, "_receive_goaway_frame"),
    (H2Stream, "_initialize_content_length"),
)
"""What is replaced of the library, of which no setting would do it."""


class _Frames(H2Connection):
    """The library, but for what it would end a connection for, with all its requests."""

    silent_frames = 0
    """How many told of nothing, such as those for streams that were reset."""

    def _receive_frame(self, frame: Any) -> list[events.Event]:
        arrived = super()._receive_frame(frame)
        self.silent_frames += not arrived
        return arrived

    def _begin_new_stream(self, stream_id: int, allowed_ids: Any) -> H2Stream:
        stream = super()._begin_new_stream(stream_id, allowed_ids)
        # A body that is not as long as its headers say is an error of its stream alone (RFC 9113,
        # section 8.1.1): without a length to expect the library counts none, and `Stream` does.
        stream._initialize_content_length = _expect_nothing  # type: ignore[assignment]  # noqa: SLF001  # no setting does it
        return stream

    def _receive_goaway_frame(self, frame: Any) -> tuple[list[Any], list[events.Event]]:  # noqa: ARG002  # h2 says which arguments
        # No end, but a warning of one (RFC 9113, section 6.8): the client still waits for what it
        # asked, and may send the bodies. The library would drop even what is yet to be sent.
        return [], [events.ConnectionTerminated()]


def _expect_nothing(_headers: object) -> None:
    pass


class Http2:
    """A connection; Hypercorn makes it, tells it what arrives, and writes what it sends."""

    def __init__(  # noqa: PLR0917  # as Hypercorn calls it
        self,
        app: Any,
        config: Any,
        context: Any,
        task_group: Any,
        connection_state: Any,  # noqa: ARG002  # Hypercorn says which arguments
        ssl: bool,  # noqa: FBT001  # see above
        client: tuple[str, int] | None,
        server: tuple[str, int] | None,
        send: Callable[[Event], Awaitable[None]],
    ) -> None:
        self._app = app
        self._config = config
        self._draining = context.terminated
        self._task_group = task_group
        self._base = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "2",
            "scheme": "https" if ssl else "http",
            "root_path": "",
            "client": client,
            "server": server,
            "extensions": {},
        }
        self._send = send
        self._streams: dict[int, Stream] = {}
        self._late_bytes_left: dict[int, int] = {}
        self._idle_frames = 0
        self._closed = False
        self._is_writing = False
        self._has_output = asyncio.Event()
        self._written = asyncio.Event()
        self._change = asyncio.Event()
        self._frames = _Frames(_CONFIG)
        self.h2: H2Connection = self._frames
        self.h2.local_settings = Settings(client=False, initial_values=_SETTINGS)

    async def initiate(self) -> None:
        """Begin: send the server's half of the preface."""
        self.h2.initiate_connection()
        self._task_group.spawn(self._write_all)
        self._has_output.set()

    async def handle(self, event: Event) -> None:
        """Take what came from the network: bytes, or the end of the connection."""
        if isinstance(event, RawData):
            for start in range(0, len(event.data), SLICE_BYTES):
                await self._receive(event.data[start : start + SLICE_BYTES])
        elif isinstance(event, Closed) and not self._closed:
            self.h2.close_connection()
            self._close()
            if not self._is_writing:  # or this may be the writer, who found nobody there
                await self._written.wait()

    def common_headers(self) -> Fields:
        """Return what stands in every answer."""
        headers: Fields = self._config.response_headers("h2")
        return headers

    async def flush(self) -> None:
        """Return when all that was to be sent so far is written, or nobody is there any more."""
        if not self._closed:
            written = self._written
            self._has_output.set()
            await written.wait()

    async def changed(self) -> None:
        """Wait until a window may have grown, or a stream may have ended."""
        await self._change.wait()

    def note_answer(self) -> None:
        """Take note that the client is sent something it asked for."""
        self._idle_frames = 0

    def acknowledge(self, stream_id: int, size: int) -> None:
        """Let the client send as much more as was read."""
        if size and not self._closed:
            self.h2.acknowledge_received_data(size, stream_id)
            self._has_output.set()

    async def _write_all(self) -> None:
        # One task writes, so that no request that is interrupted loses frames of others.
        is_last = False
        try:
            while not is_last:
                await self._has_output.wait()
                self._has_output.clear()
                is_last = self._closed  # then what is to be written says why
                await self._write()
        finally:
            self._written.set()

    async def _write(self) -> None:
        written, self._written = self._written, asyncio.Event()
        self._is_writing = True
        try:
            if data := self.h2.data_to_send():
                await self._send(RawData(data))
        except OSError:
            self._close()
        finally:
            self._is_writing = False
            written.set()

    async def _receive(self, data: bytes) -> None:
        if self._closed:
            return
        try:
            arrived = self.h2.receive_data(data)
        except ProtocolError:
            await self._hang_up()  # the library has said why
            return
        for event in arrived:
            self._take(event)
        self._idle_frames += self._frames.silent_frames
        self._frames.silent_frames = 0
        if self._idle_frames > MAX_IDLE_FRAMES:
            self.h2.close_connection(ErrorCodes.ENHANCE_YOUR_CALM)
            await self._hang_up()
            return
        if self._streams:
            await self._send(Updated(idle=False))
        elif any(isinstance(event, events.DataReceived) for event in arrived):
            # Who still sends the body of a request that is answered is given time anew.
            await self._send(Updated(idle=True))
        await self.flush()

    def _take(self, event: events.Event) -> None:
        if isinstance(event, events.RequestReceived):
            self._begin(event)
        elif isinstance(event, events.DataReceived):
            self._take_data(event)
        elif isinstance(event, events.StreamEnded):
            self._late_bytes_left.pop(event.stream_id, None)
            if (stream := self._streams.get(event.stream_id)) and not stream.end_request():
                self._give_up(stream)
        else:
            self._idle_frames += 1
            if isinstance(event, events.StreamReset):
                self._late_bytes_left.pop(event.stream_id, None)
                if stream := self._streams.get(event.stream_id):
                    stream.leave()
            self._tell_change()

    def _begin(self, event: events.RequestReceived) -> None:
        stream_id = event.stream_id
        # A request that was reset counts until it has really ended.
        if self._draining.is_set() or len(self._streams) >= MAX_STREAMS:
            self._reset(stream_id, ErrorCodes.REFUSED_STREAM)
            return
        try:
            scope = make_scope(self._base, event.headers)
            length = length_of(scope, has_body=event.stream_ended is None)
        except MalformedError:
            self._refuse(stream_id)
            if event.stream_ended is None:
                self._late_bytes_left[stream_id] = MAX_LATE_BYTES
            return
        stream = self._streams[stream_id] = Stream(stream_id, scope, length, self)
        self._task_group.spawn(self._serve, stream)

    def _refuse(self, stream_id: int) -> None:
        headers, body = make_refusal(HTTPStatus.BAD_REQUEST)
        with suppress(ProtocolError):  # reset already
            has_room = self.h2.local_flow_control_window(stream_id) >= len(body)
            head = make_head(HTTPStatus.BAD_REQUEST, (*headers, *self.common_headers()))
            self.h2.send_headers(stream_id, head, end_stream=not has_room)
            if has_room:
                self.h2.send_data(stream_id, body, end_stream=True)

    def _take_data(self, event: events.DataReceived) -> None:
        size = event.flow_controlled_length
        if not event.data:
            self._idle_frames += 1
        if stream := self._streams.get(event.stream_id):
            if not stream.take_data(event.data, size):
                self._give_up(stream)
            return
        self.acknowledge(event.stream_id, size)
        # A frame counts as a full one, or drops of a body could come for days.
        size = max(size, self.h2.max_inbound_frame_size)
        left = self._late_bytes_left.pop(event.stream_id, 0) - size
        if left >= 0:
            self._late_bytes_left[event.stream_id] = left
        elif event.stream_ended is None:
            self._reset(event.stream_id, ErrorCodes.NO_ERROR)

    def _give_up(self, stream: Stream) -> None:
        self._idle_frames += 1  # who lets requests be reset is no better than who does it
        self._reset(stream.id, ErrorCodes.PROTOCOL_ERROR)
        stream.leave()
        self._tell_change()

    def _reset(self, stream_id: int, code: ErrorCodes) -> None:
        with suppress(ProtocolError):  # the client may have done so itself
            self.h2.reset_stream(stream_id, code)

    async def _serve(self, stream: Stream) -> None:
        try:
            await self._app(stream.scope, stream.receive, stream.send, None, None)
        except Exception:
            logger.exception("error in the application")
        finally:
            del self._streams[stream.id]
            self.acknowledge(stream.id, stream.unread)
            if not self._closed and stream.finish():
                self._late_bytes_left[stream.id] = MAX_LATE_BYTES
        await self.flush()
        if not self._streams and not self._closed:
            await self._send(Updated(idle=True))

    async def _hang_up(self) -> None:
        self._close()
        await self._written.wait()
        await self._send(Closed())

    def _close(self) -> None:
        self._closed = True
        for stream in self._streams.values():
            stream.leave()
        self._tell_change()
        self._has_output.set()

    def _tell_change(self) -> None:
        self._change.set()
        self._change = asyncio.Event()
