"""Numbers that clients send: each has its bounds, and what is no number of ours is refused."""

from urllib.parse import quote

import msgspec
import pytest

from broker.builtin.rest import wire, wire_queues, wire_settling
from broker.builtin.rest.explain import fields_of
from broker.limits import MAX_INT64, YEAR

POLICY = {
    "lease_seconds": (1, 43_200),
    "max_deliveries": (1, 1000),
    "retry_base": (0, YEAR),
    "retry_max": (0, YEAR),
    "jitter": (0, 1),
    "dedup_window": (0, 86_400),
    "default_delay": (0, YEAR),
    "default_ttl": (0, YEAR),
    "max_messages": (1, MAX_INT64),
    "max_bytes": (1, MAX_INT64),
    "max_in_flight": (1, MAX_INT64),
    "max_message_bytes": (1, 16 * 1024 * 1024),
    "retain_processed": (0, 10 * YEAR),
    "retain_failed": (0, 10 * YEAR),
}
DELAY, TTL, EXTENSION = (0, YEAR), (1e-9, YEAR), (1, 43_200)
MESSAGE = {"priority": (0, 9), "delay": DELAY, "ttl": TTL}
LEASE = {"wait": (0, 20), "lease_seconds": (1, 43_200)}

IN_QUERIES = {
    ("GET", "/queues"): (wire_queues.ListOptions, {"limit": (1, 1000)}),
    ("GET", "/queues/q/messages"): (
        wire.BrowseOptions,
        {"limit": (1, 1000), "after": (0, MAX_INT64)},
    ),
    ("GET", "/queues/q/messages/consume"): (wire.ConsumeOptions, LEASE),
    ("GET", "/queues/q/messages/stream"): (
        wire.StreamOptions,
        {"prefetch": (1, 1000), "lease_seconds": (1, 43_200)},
    ),
    ("POST", "/queues/q/messages"): (wire.RawOptions, MESSAGE),
}
"""What is a number in the query string of a route, and its bounds."""

IN_BODIES = {
    ("POST", "/queues", '{"name": "new", NUMBER}'): (wire_queues.NewQueue, POLICY),
    ("PUT", "/queues/new", "{NUMBER}"): (wire_queues.QueuePolicy, POLICY),
    ("PATCH", "/queues/q", "{NUMBER}"): (wire_queues.QueuePolicy, POLICY),
    ("POST", "/queues/q/messages", '{"content": "", NUMBER}'): (wire.OutgoingMessage, MESSAGE),
    ("POST", "/queues/q/messages/batch", '{"messages": [{"content": "", NUMBER}]}'): (
        wire.OutgoingMessage,
        MESSAGE,
    ),
    ("POST", "/queues/q/messages/lease", "{NUMBER}"): (
        wire.LeaseOptions,
        {"limit": (1, 100), **LEASE},
    ),
    ("POST", "/messages/settle", '{"publish": [{"queue": "q", "content": "", NUMBER}]}'): (
        wire.AddressedMessage,
        MESSAGE,
    ),
    ("POST", "/messages/settle", '{"retry": [{"receipt": "x", NUMBER}]}'): (
        wire_settling.RetryItem,
        {"delay": DELAY},
    ),
    ("POST", "/messages/settle", '{"extend": [{"receipt": "x", NUMBER}]}'): (
        wire_settling.ExtendItem,
        {"seconds": EXTENSION},
    ),
    ("POST", "/messages/1/nack", "{NUMBER}"): (wire_settling.Nack, {"delay": DELAY}),
    ("POST", "/messages/1/extend", "{NUMBER}"): (wire_settling.Extend, {"seconds": EXTENSION}),
    ("POST", "/queues/q/purge", '{"states": ["failed"], NUMBER}'): (
        wire_queues.Purge,
        {"older_than": (0, YEAR)},
    ),
}
"""The same of a body, in which it stands for NUMBER."""

NO_TEXTS = [
    *("", " ", "-1", "+1", " 1", "1 ", "1\n", "1_000", "1,000", "0x1", "1e400", "-1e400", "x"),
    *("nan", "NaN", "inf", "Infinity", "-Infinity", "true", "\u0661", "\uff11", "\x00"),
    *("9" * 5000, "-" + "9" * 5000, "1" + "0" * 400 + ".5"),
]
NO_VALUES = [
    *("-1", "-0.001", "1e400", "-1e400", "1" + "0" * 400, "9" * 5000, '""', '"1"', '"1_000"'),
    *("true", "[1]", "{}", '"NaN"', '"\u0661"'),
]
NO_JSON = ["NaN", "Infinity", "-Infinity", "+1", "1_000", "0x1", "01", ".5", "1.", "\u0661", ""]


def beyond(bounds):
    """The nearest whole numbers that are out of bounds."""
    lowest, highest = bounds
    return [str(-(-lowest // 1) - 1).partition(".")[0], str(highest + 1)]


def cases(table):
    return [
        (*place, name, bounds)
        for place, (_, rows) in table.items()
        for name, bounds in rows.items()
    ]


@pytest.mark.parametrize(("method", "path", "name", "bounds"), cases(IN_QUERIES))
def test_text_that_is_no_number_within_its_bounds_is_refused(
    refuse, in_use, method, path, name, bounds
):
    content_type = "application/x-acme" if method == "POST" else None

    for text in [*NO_TEXTS, *beyond(bounds)]:
        answer = in_use(method, f"{path}?{name}={quote(text)}", content_type=content_type)
        refuse(answer, [name], text)


@pytest.mark.parametrize(("method", "path", "body", "name", "bounds"), cases(IN_BODIES))
def test_a_value_that_is_no_number_within_its_bounds_is_refused(
    refuse, in_use, method, path, body, name, bounds
):
    for value in [*NO_VALUES, *beyond(bounds)]:
        sent = body.replace("NUMBER", f'"{name}": {value}').encode()
        answer = in_use(method, path, body=sent, content_type="application/json")
        assert answer.status == 422, (value, answer.body)
        refused = [field for field in answer.fields if not field.endswith(".receipt")]
        assert [field.rpartition(".")[2] for field in refused] == [name], value


@pytest.mark.parametrize(
    ("method", "path", "body", "name"), [case[:-1] for case in cases(IN_BODIES)]
)
def test_a_number_that_json_does_not_know_is_malformed(in_use, method, path, body, name):
    before = in_use.queues()

    for number in NO_JSON:
        sent = body.replace("NUMBER", f'"{name}": {number}').encode()
        answer = in_use(method, path, body=sent, content_type="application/json")
        assert (answer.status, answer.json["code"]) == (400, "malformed"), number
    assert in_use.queues() == before


def numbers(kind):
    """The fields of a struct that are numbers, as far as its type tells."""
    for name, field in fields_of(kind).items():
        told = msgspec.json.schema(field.type)
        types = {each.get("type") for each in [told, *told.get("anyOf", ())]}
        if types & {"integer", "number"}:
            yield name


def test_no_number_that_clients_send_is_missing_here():
    tables = [*IN_QUERIES.values(), *IN_BODIES.values()]
    tested = {(kind, name) for kind, rows in tables for name in rows}
    kinds = {kind for kind, _ in tables}
    modules = (wire, wire_queues, wire_settling)
    others = {kind for one in modules for kind in vars(one).values() if isinstance(kind, type)}
    others -= kinds
    others -= {wire.MessagePath}  # what is no id: test_rest_bad_requests
    others = {kind for kind in others if issubclass(kind, msgspec.Struct)}

    assert {(kind, name) for kind in kinds for name in numbers(kind)} == tested
    assert [kind for kind in others if list(numbers(kind))] == []
