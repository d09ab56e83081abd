"""Bytes on a socket, for what no client of HTTP would send."""

import re
import socket
import ssl
import time
from contextlib import suppress
from selectors import EVENT_READ, DefaultSelector

HEALTHZ = b"GET /healthz HTTP/1.1\r\nhost: b\r\n"
CLOSE = b"connection: close\r\n\r\n"


def connect(served, timeout=30):
    return socket.create_connection(("127.0.0.1", served.port), timeout)


def talk(served, *parts):
    """Send what can be sent, and return all that is answered."""
    answer = b""
    with connect(served) as connection:
        try:
            for part in parts:
                connection.sendall(part)
        except OSError:
            pass  # it has heard enough
        try:
            while part := connection.recv(65_536):
                answer += part
        except ConnectionResetError:
            pass
    return answer


def read_answer(connection):
    """Return the next answer, whole; its headers say how long its body is."""
    answer = b""
    while b"\r\n\r\n" not in answer:
        part = connection.recv(65_536)
        assert part, answer
        answer += part
    head, _, body = answer.partition(b"\r\n\r\n")
    length = int(re.search(rb"content-length: (\d+)", head, re.IGNORECASE)[1])
    while len(body) < length:
        body += connection.recv(65_536)
    assert len(body) == length
    return head + b"\r\n\r\n" + body


def status_of(answer):
    """Return the status of the one answer there is; 0 if there is none."""
    assert answer.count(b"HTTP/1.") <= 1, answer
    return int(answer.split(b" ", 2)[1]) if answer else 0


def trust(served):
    return ssl.create_default_context(cafile=served.directory / "dev-cert.pem")


def drip(parts, *, seconds):
    """Send on each connection its part every half second for so long; return what each was answered
    until it was closed, and None for those that were not."""
    answers = dict.fromkeys(parts, b"")
    open_ = set(parts)
    end = time.monotonic() + seconds
    with DefaultSelector() as selector:
        for connection in parts:
            connection.setblocking(False)
            selector.register(connection, EVENT_READ)
        while open_ and (now := time.monotonic()) < end:
            for connection in list(open_):
                with suppress(OSError):  # closed, or about to be
                    connection.send(parts[connection])
            _read_until(selector, open_, answers, min(now + 0.5, end))
    return [None if c in open_ else answers[c] for c in parts]


def _read_until(selector, open_, answers, end):
    while open_ and (left := end - time.monotonic()) > 0:
        for key, _ in selector.select(left):
            connection = key.fileobj
            try:
                part = connection.recv(65_536)
            except (BlockingIOError, ssl.SSLWantReadError):
                continue
            except OSError:
                part = b""
            answers[connection] += part
            if not part:
                open_.discard(connection)
                selector.unregister(connection)
