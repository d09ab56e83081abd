import json

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from broker import BrokerError, FieldError, Invalid, Malformed, QueuePolicy
from broker.builtin.rest import wire, wire_queues, wire_settling
from broker.builtin.rest.explain import MAX_ERRORS, MAX_VALUES, explain, fields_of, shorten
from broker.builtin.rest.reading import UNREADABLE

NAME = "text like ^[A-Za-z0-9][A-Za-z0-9._-]{0,254}$"


def refusal(body: object, kind: type) -> BrokerError | None:
    """What is said of a body, read as the routes read it; None if it is what was expected."""
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    try:
        msgspec.json.decode(text, type=kind)
    except UNREADABLE as error:
        return explain(text, kind, error)
    return None


def refusals(body: object, kind: type) -> list[tuple[str, str, object]]:
    error = refusal(body, kind)
    assert isinstance(error, Invalid), error
    return [(found.field, found.message, found.received) for found in error.errors]


def test_every_wrong_field_is_named_and_not_only_the_first():
    body = {"content": 1, "headers": {"a": 2, "b": "ok"}, "priority": 12, "dealy": 3}

    assert refusals(body, wire.OutgoingMessage) == [
        ("content", "expected text", 1),
        ("headers.a", "expected at most 16384 printable characters", 2),
        ("priority", "expected a whole number from 0 to 9", 12),
        ("dealy", 'is not known here; did you mean "delay"?', 3),
    ]


def test_a_field_in_a_list_is_named_with_its_index():
    body = {"messages": [{"content": "a"}, {"content": "b", "priority": -1}, {"ttl": 0}, "no"]}

    assert refusals(body, wire.Batch) == [
        ("messages[1].priority", "expected a whole number from 0 to 9", -1),
        ("messages[2].ttl", "expected a number above 0, at most 31622400 or null", 0),
        ("messages[2].content", "is required, or content_base64", None),
        ("messages[3]", "expected an object", "no"),
    ]


@pytest.mark.parametrize(
    ("body", "kind", "field", "message", "received"),
    [
        # of a missing field nothing was received
        ({}, wire_queues.NewQueue, "name", "is required", None),
        # alternatives: none of them, both of them
        ({}, wire.OutgoingMessage, "content", "is required, or content_base64", None),
        (
            {"content": "a", "content_base64": "YQ=="},
            wire.OutgoingMessage,
            "content_base64",
            "cannot stand beside content",
            None,
        ),
        # null, which is also what nothing looks like
        ({"content": None}, wire.OutgoingMessage, "content", "expected text, got null", None),
        # enumerations tell what is allowed
        (
            {"overflow": "no"},
            QueuePolicy,
            "overflow",
            'expected one of "reject", "drop_oldest"',
            "no",
        ),
        # the body as a whole
        ([], wire.Batch, "body", "expected an object", "[]"),
        ("x", wire.Batch, "body", "expected an object", "x"),
        # a container of the wrong kind, or of the wrong size
        ({"messages": {}}, wire.Batch, "messages", "expected an array", "{}"),
        ({"messages": []}, wire.Batch, "messages", "expected at least 1, got 0", "[]"),
        (
            {"headers": {f"{i:02}": "" for i in range(65)}, "content": ""},
            wire.OutgoingMessage,
            "headers",
            "expected at most 64, got 65",
            json.dumps({f"{i:02}": "" for i in range(65)})[:100],
        ),
        (
            {"headers": {"a": "é" * 8192}, "content": ""},
            wire.OutgoingMessage,
            "headers",
            "names and values are 16385 bytes, at most 16384 are allowed",
            '{"a": "' + "é" * 93,
        ),
        # neither names nor what was received bring control characters back
        (
            {"headers": {"a\nb": "x"}, "content": ""},
            wire.OutgoingMessage,
            "headers.a\\nb",
            "expected 1 to 255 printable characters",
            "a\\nb",
        ),
        (
            {"group": "a\x00b", "content": ""},
            wire.OutgoingMessage,
            "group",
            "expected 1 to 255 printable characters or null",
            "a\\x00b",
        ),
        # a union of text and object takes its problems from the one that was meant
        ({"ack": [3]}, wire_settling.Settlements, "ack[0]", "expected a receipt or an object", 3),
        ({"ack": [{}]}, wire_settling.Settlements, "ack[0].receipt", "is required", None),
        # too large for the type, for 64 bits, for Python to read
        (
            {"limit": 2**70},
            wire.LeaseOptions,
            "limit",
            "expected a whole number from 1 to 100",
            str(2**70),
        ),
        (
            b'{"limit":' + b"9" * 5000 + b"}",
            wire.LeaseOptions,
            "limit",
            "expected a whole number from 1 to 100",
            "9" * 100,
        ),
        (b'{"wait": 1e400}', wire.LeaseOptions, "wait", "expected a number from 0 to 20", "inf"),
        # half a surrogate pair, as a value, as a name, inside
        (
            rb'{"content": "a\ud800"}',
            wire.OutgoingMessage,
            "content",
            "contains half of a surrogate pair, or bytes that are not UTF-8",
            "a\\ud800",
        ),
        (rb'{"content": "", "\udc00": 1}', wire.OutgoingMessage, "\\udc00", "is not known here", 1),
        (
            rb'{"content": "", "headers": {"\udc00": ""}}',
            wire.OutgoingMessage,
            "headers.\\udc00",
            "contains half of a surrogate pair, or bytes that are not UTF-8",
            "\\udc00",
        ),
        # what is long is shortened
        ({"x": "a" * 500}, wire.Fields, "x", "is not known here", "a" * 100),
        ({"x": ["a" * 500]}, wire.Fields, "x", "is not known here", '["' + "a" * 98),
        ({"x" * 500: 1}, wire.Fields, "x" * 100, "is not known here", 1),
    ],
)
def test_a_wrong_field_is_named_with_what_is_expected_and_what_was_received(
    body, kind, field, message, received
):
    assert refusals(body, kind) == [(field, message, received)]


@pytest.mark.parametrize(
    ("body", "kind", "field"),
    [
        ({"ack": ["no"]}, wire_settling.Settlements, "ack[0]"),
        ({"retry": [{"receipt": "no", "delay": 1}]}, wire_settling.Settlements, "retry[0].receipt"),
        ({"receipt": "no"}, wire_settling.OneReceipt, "receipt"),
    ],
)
def test_a_receipt_that_cannot_be_read_is_named(body, kind, field):
    error = explain(json.dumps(body).encode(), kind, ValueError("not a receipt"))

    assert list(error.errors) == [FieldError(field, "is not a receipt of this broker", "no")]


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b'{limit: 1}', "the body is not JSON: Expecting property name enclosed in double quotes"
                        " (line 1, column 2)"),
        (b'{"limit"\n 1}', "the body is not JSON: Expecting ':' delimiter (line 2, column 2)"),
        (b'{"limit": 1} x', "the body is not JSON: Extra data (line 1, column 14)"),
        (b'{"wait": NaN}', "the body is not JSON: NaN is not a JSON value"),
        (b'{"wait": -Infinity}', "the body is not JSON: -Infinity is not a JSON value"),
        (b'{"\xff": 1}', "the body is not UTF-8: byte 2 cannot be decoded"),
        # a surrogate written out in UTF-8, which no encoder does
        (b'{"\xed\xa0\x80": 1}', "the body is not UTF-8: byte 2 cannot be decoded"),
        ("{}".encode("utf-16"), "the body is not UTF-8: byte 0 cannot be decoded"),
        (b"[" * 100_000, "the body is nested too deeply"),
        # what one Python's parser takes and another's does not
        (b'{"limit": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", None),
        (b'{"limit": ' + b"[" * 850 + b"]" * 850 + b"}", None),
    ],
)  # fmt: skip
def test_what_is_not_json_is_malformed_and_says_where(body, detail):
    error = refusal(body, wire.LeaseOptions)

    assert isinstance(error, BrokerError)
    if detail is None:
        assert error.status in (400, 422)
    else:
        assert (type(error), str(error)) == (Malformed, detail)


def test_the_list_of_errors_ends_somewhere():
    body = {f"x{i}": 1 for i in range(MAX_ERRORS + 1)}

    assert len(refusals(body, wire.Fields)) == MAX_ERRORS


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (
            {"messages": [{"content": ""}, {"content": "", "priority": "x"}]},
            ("messages[1].priority", "expected int, got str", None),
        ),
        (
            {"messages": [{"content": "", "x": 1}]},
            ("messages[0].x", "object contains unknown field x", None),
        ),
        ({"x" * 500 + "\n": 1}, ("x" * 100, "object contains unknown field " + "x" * 170, None)),
        ([], ("body", "expected object, got array", None)),
    ],
)
def test_of_a_body_with_very_many_values_the_first_error_is_told(body, found):
    padding = [0] * (MAX_VALUES + 1)
    body = {**body, "padding": padding} if body else padding

    assert refusals(body, wire.Batch) == [found]


def test_a_very_large_body_that_is_not_json_is_malformed():
    error = refusal(b"[" + b"1," * MAX_VALUES, list)

    assert isinstance(error, Malformed)


KINDS = [
    wire_queues.NewQueue,
    QueuePolicy,
    wire.Batch,
    wire.LeaseOptions,
    wire_settling.Settlements,
    wire_settling.Nack,
    wire_settling.Extend,
    wire_queues.Purge,
]
NAMES = sorted({name for kind in [*KINDS, wire.OutgoingMessage] for name in fields_of(kind)})
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-1, 120)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.sampled_from("aé😀\x00\ud800\udc00"), max_size=5)
    | st.sampled_from(["pending", "reject", "YQ==", "queue", "", "a\x7f"])
)
JSON = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*NAMES, "other", "\ud800"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(NAMES), JSON, max_size=4), st.sampled_from(KINDS))
@settings(max_examples=300)
@example({"messages": [{"content_base64": "YQ="}]}, wire.Batch)
@example({"jitter": 1}, QueuePolicy)
@example({"after": -0.0, "limit": 4.0}, wire.LeaseOptions)
def test_whatever_cannot_be_read_is_explained(body, kind):
    error = refusal(body, kind)

    if error is not None:
        assert isinstance(error, Invalid)
        assert all(found.field and found.message for found in error.errors)
        msgspec.json.encode([str(error), *error.errors])


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (2**63, 2**63),
        (2**64, str(2**64)),
        (1.5, 1.5),
        (True, True),
        ({"a": [1, None]}, '{"a": [1, null]}'),
        ("\x1b[31m", "\\x1b[31m"),
    ],
)
def test_what_was_received_can_be_shown(value, shown):
    assert shorten(value) == shown
