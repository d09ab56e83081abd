"""A client of HTTP/2 that shows every frame's effect, and has no more manners than it is told."""

import socket
import ssl
from contextlib import suppress

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
)
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings

LOOSE = H2Configuration(
    client_side=True,
    header_encoding="utf-8",
    validate_outbound_headers=False,
    normalize_outbound_headers=False,
)


class Connection(H2Connection):
    def _receive_goaway_frame(self, frame):
        # The library takes it for the end; it is a warning (RFC 9113, section 6.8).
        event = ConnectionTerminated()
        event.error_code = frame.error_code
        return [], [event]


class Http2Client:
    def __init__(self, port, context, *, window=2**20):
        context.set_alpn_protocols(["h2"])
        connection = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.socket = context.wrap_socket(connection, server_hostname="127.0.0.1")
        assert self.socket.selected_alpn_protocol() == "h2"
        self.h2 = Connection(LOOSE)
        settings = {SettingCodes.INITIAL_WINDOW_SIZE: window}
        self.h2.local_settings = Settings(client=True, initial_values=settings)
        self.h2.initiate_connection()
        self.heads, self.bodies, self.ended, self.resets = {}, {}, set(), {}
        self.goodbye = None
        self.flush()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def flush(self):
        self.socket.sendall(self.h2.data_to_send())

    def open(self, method, path, *, end=True, headers=(), flush=True):
        """Send the headers of a request as it came over HTTP/1.1."""
        pseudo = [(":method", method), (":scheme", "https"), (":authority", "b"), (":path", path)]
        return self.open_raw([*pseudo, *headers], end=end, flush=flush)

    def open_raw(self, headers, *, end=True, flush=True):
        stream = self.h2.get_next_available_stream_id()
        self.h2.send_headers(stream, headers, end_stream=end)
        if flush:
            self.flush()
        return stream

    def post(self, path, body):
        stream = self.open("POST", path, end=False, headers=[("content-type", "application/json")])
        self.h2.send_data(stream, body, end_stream=True)
        self.flush()
        return stream

    def reset(self, stream, *, flush=True):
        self.h2.reset_stream(stream, 8)
        if flush:
            self.flush()

    def say_goodbye(self):
        """Send a GOAWAY and go on, as RFC 9113 allows in section 6.8."""
        state = self.h2.state_machine.state
        self.h2.close_connection()
        self.h2.state_machine.state = state  # the library would send no more

    def read(self):
        """Take what comes; tell whether more may."""
        try:
            data = self.socket.recv(65_536)
        except (ConnectionError, ssl.SSLError):
            return False
        for event in self.h2.receive_data(data):
            self._take(event)
        with suppress(OSError):
            self.flush()
        return bool(data)

    def _take(self, event):
        if isinstance(event, ResponseReceived):
            self.heads[event.stream_id] = dict(event.headers)
        elif isinstance(event, DataReceived):
            self.bodies[event.stream_id] = self.bodies.get(event.stream_id, b"") + event.data
            with suppress(ProtocolError):
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, StreamEnded):
            self.ended.add(event.stream_id)
        elif isinstance(event, StreamReset):
            self.resets[event.stream_id] = event.error_code
        elif isinstance(event, ConnectionTerminated):
            self.goodbye = event.error_code

    def until(self, condition):
        """Read until something is so; tell whether it became so before the end."""
        while not condition():
            if not self.read():
                return condition()
        return True

    def answer(self, stream):
        """Return the headers and the body that answer a request."""
        assert self.until(lambda: stream in self.ended), (self.resets, self.goodbye)
        return self.heads[stream], self.bodies.get(stream, b"")

    def read_to_the_end(self):
        while self.read():
            pass
