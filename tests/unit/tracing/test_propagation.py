"""Contexts of traces in headers: read, refused, written."""

import pytest

from broker.limits import MAX_HEADERS
from broker.tracing.propagation import (
    MAX_TRACEPARENT,
    carried_by,
    context_of,
    read_context,
    with_context,
)

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{SPAN}-01"


def test_a_context_is_read_as_it_is_written():
    headers = {"traceparent": PARENT, "tracestate": "acme=1,b@c=2"}
    context = read_context(headers)

    assert (context.trace_id, context.span_id) == (int(TRACE, 16), int(SPAN, 16))
    assert context.is_remote
    assert context.trace_flags.sampled
    assert carried_by(context) == headers


@pytest.mark.parametrize(
    "parent",
    [
        f"cc-{TRACE}-{SPAN}-01",  # a version to come
        f"cc-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-ff",
    ],
)
def test_versions_and_flags_to_come_are_read(parent):
    assert read_context({"traceparent": parent}).span_id == int(SPAN, 16)


@pytest.mark.parametrize(
    "parent",
    [
        "",
        " " + PARENT,
        PARENT + "\n",
        PARENT.upper(),
        PARENT + "-",
        PARENT[:-1],
        PARENT.replace("-", ""),
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[:-1]}ü-{SPAN}-01",
        f"cc-{TRACE}-{SPAN}-01-" + "x" * MAX_TRACEPARENT,
    ],
)
def test_what_is_no_traceparent_is_no_context(parent):
    assert read_context({"traceparent": parent}) is None


@pytest.mark.parametrize(
    ("state", "kept"),
    [
        ("a=1", "a=1"),
        (" a=1 ,, b=2\t", "a=1,b=2"),  # spaces around members, and empty ones, are allowed
        ("1a@x=y", "1a@x=y"),
        (",".join(f"k{n}=v" for n in range(32)), ",".join(f"k{n}=v" for n in range(32))),
        (",".join(f"k{n}=v" for n in range(33)), None),
        ("a=" + "1" * 256, "a=" + "1" * 256),
        ("a=" + "1" * 257, None),
        ("a=1,b=" + "1" * 256 + ",c=" + "1" * 256, None),
        ("a=1,a=2", None),
        ("a", None),
        ("A=1", None),
        ("a=1=2", None),
        ("a=ü", None),
        ("", None),
    ],
)
def test_a_list_of_vendors_is_kept_whole_or_not_at_all(state, kept, caplog):
    context = read_context({"traceparent": PARENT, "tracestate": state})

    assert carried_by(context).get("tracestate") == kept
    assert caplog.records == []


def test_several_headers_of_a_request_are_one_list_of_vendors():
    fields = [(b"tracestate", b"a=1"), (b"traceparent", PARENT.encode()), (b"tracestate", b"b=2")]

    assert carried_by(context_of(fields))["tracestate"] == "a=1,b=2"


@pytest.mark.parametrize("count", [0, 2])
def test_a_request_without_one_traceparent_has_no_context(count):
    assert context_of([(b"traceparent", PARENT.encode())] * count) is None


CARRIED = {"traceparent": PARENT}
SIZE = len("traceparent") + len(PARENT)


@pytest.mark.parametrize(
    ("headers", "has_room"),
    [
        ({}, True),
        ({str(n): "" for n in range(MAX_HEADERS - 1)}, True),
        ({str(n): "" for n in range(MAX_HEADERS)}, False),
        ({"a": "x" * (16 * 1024 - SIZE - 1)}, True),
        ({"a": "x" * (16 * 1024 - SIZE)}, False),
        ({"a": "ü" * ((16 * 1024 - SIZE) // 2)}, False),
    ],
)
def test_a_context_is_added_where_there_is_room(headers, has_room):
    assert with_context(headers, CARRIED) == ({**headers, **CARRIED} if has_room else headers)
