"""The format of Server-Sent Events (WHATWG HTML, sections 9.2.5 and 9.2.6)."""

from __future__ import annotations

import re

_FORBIDDEN = re.compile(r"[\r\n\0]")
_NEWLINE = re.compile(rb"\r\n|\r|\n")


def write_event(name: str, data: bytes, *, event_id: str | None = None) -> bytes:
    """Return an event as it is sent; raises ValueError for a name or id that would break it.

    Who reads it gets the newlines in its data as LF, whatever they were.
    """
    lines = []
    if event_id is not None:
        lines.append(b"id: " + _field(event_id))
    lines.append(b"event: " + _field(name))
    lines += [b"data: " + line for line in _NEWLINE.split(data)]
    return b"\n".join(lines) + b"\n\n"


def write_id(event_id: str) -> bytes:
    """Return what moves the id from which a client resumes, and tells it of nothing else."""
    return b"id: " + _field(event_id) + b"\n\n"


def write_retry(milliseconds: int) -> bytes:
    """Return what tells a client how long to wait before it comes again. It is no event, but goes
    before one: some clients take it for an event where it stands alone."""
    return b"retry: %d\n" % milliseconds


def _field(text: str) -> bytes:
    if _FORBIDDEN.search(text):
        raise ValueError("an id or a name of an event has one line, without NUL")
    return text.encode()
