"""The context of a trace as text: `traceparent` and `tracestate` (W3C Trace Context, level 2), the
same in the headers of requests and in those of messages."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from opentelemetry.trace import SpanContext, TraceFlags, TraceState, get_current_span

from broker.limits import MAX_HEADERS, MAX_HEADERS_BYTES

TRACEPARENT, TRACESTATE = "traceparent", "tracestate"

MAX_TRACEPARENT = 512
"""How long one may be: those of versions to come may be longer than ours, which are 55."""

MAX_TRACESTATE, MAX_MEMBERS = 512, 32
"""How long a list may be, and of how many members; a longer one is forgotten as a whole."""

_PARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_KEY = r"[a-z0-9][a-z0-9_\-*/]{0,240}(@[a-z][a-z0-9_\-*/]{0,13})?"
_MEMBER = re.compile(rf"{_KEY}=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{{0,255}}[\x21-\x2b\x2d-\x3c\x3e-\x7e]")


def read_context(headers: Mapping[str, str]) -> SpanContext | None:
    """Return the context that headers carry, None if they carry none that is well-formed."""
    parent = headers.get(TRACEPARENT)
    # Judged here: OpenTelemetry tells the log of all that is malformed, and anybody may send it.
    if parent is None or len(parent) > MAX_TRACEPARENT:
        return None
    match = _PARENT.fullmatch(parent)
    if match is None:
        return None
    version, trace_id, span_id, flags, rest = match.groups()
    if version == "ff" or (version == "00" and rest):
        return None
    context = SpanContext(
        int(trace_id, 16),
        int(span_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(int(flags, 16)),
        trace_state=_read_state(headers.get(TRACESTATE, "")),
    )
    return context if context.is_valid else None


def _read_state(text: str) -> TraceState | None:
    if not text or len(text) > MAX_TRACESTATE:
        return None
    members = [stripped for member in text.split(",") if (stripped := member.strip(" \t"))]
    keys = {member.partition("=")[0] for member in members}
    if len(members) > MAX_MEMBERS or len(keys) < len(members):
        return None
    if not all(map(_MEMBER.fullmatch, members)):
        return None
    return TraceState.from_header(members)


def context_of(fields: Any) -> SpanContext | None:
    """Return the context that the headers of an ASGI scope carry."""
    parents: list[str] = []
    states: list[str] = []
    for name, value in fields:
        if name == b"traceparent":
            parents.append(value.decode("latin1"))
        elif name == b"tracestate":
            states.append(value.decode("latin1"))
    if len(parents) != 1:  # of two, nobody knows which is meant
        return None
    return read_context({TRACEPARENT: parents[0], TRACESTATE: ",".join(states)})


def current_trace_id() -> str | None:
    """Return what the trace of this moment is called, None if there is none."""
    context = get_current_span().get_span_context()
    return f"{context.trace_id:032x}" if context.is_valid else None


def carried_by(context: SpanContext) -> dict[str, str]:
    """Return the headers that carry a context."""
    headers = {
        TRACEPARENT: f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
    }
    if context.trace_state:
        headers[TRACESTATE] = context.trace_state.to_header()
    return headers


def with_context(headers: dict[str, str], carried: Mapping[str, str]) -> dict[str, str]:
    """Return a message's headers with those that carry a context, unless there is no room."""
    both = {**headers, **carried}
    size = sum(len(name.encode()) + len(value.encode()) for name, value in both.items())
    return both if len(both) <= MAX_HEADERS and size <= MAX_HEADERS_BYTES else headers
