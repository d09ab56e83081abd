"""Bad bodies: every field of every route is named when it is wrong, and nothing is stored."""

import json

import pytest

from broker.receipts import Receipt, write_receipt

RECEIPT_OF_1 = write_receipt(Receipt(bytes(16), 1, 1, "q"))
NOT_TEXT = (1, 1.5, True, [], {})
LABEL = (*NOT_TEXT, "", "x" * 256, "a\nb", "a\x00b", "\x7f", "\x85", "\ud800")
NAME = (*NOT_TEXT, "", "x" * 256, "a b", "a\x00b", "..", "-a", "a/b", "é", "ａ", "a\n", "\ud800")
NOT_NUMBERS = ("1", "", True, [], {}, 2**70, -(2**70), 10**400, -1)
YEAR = 366 * 24 * 3600
SECONDS = (*NOT_NUMBERS, YEAR + 1, YEAR + 0.5, -0.001)
RECEIPT = (*NOT_TEXT, "", "no receipt", "é", "\x00", "\ud800", "A" * 600, "A" * 39, "A" * 37)


def whole(least, most):
    return (*NOT_NUMBERS, least - 1, most + 1, 2.5)


POLICY = {
    "lease_seconds": (*whole(1, 43_200), None),
    "max_deliveries": whole(1, 1000),
    "retry_base": (*SECONDS, None),
    "retry_max": (*SECONDS, None),
    "jitter": (*NOT_NUMBERS, 1.01, None),
    "dead_letter_queue": NAME,
    "dedup_window": (*whole(0, 86_400), None),
    "default_delay": (*SECONDS, None),
    "default_ttl": SECONDS,
    "max_messages": whole(1, 2**63 - 1),
    "max_bytes": whole(1, 2**63 - 1),
    "overflow": (*NOT_TEXT, None, "", "no", "Reject"),
    "max_in_flight": whole(1, 2**63 - 1),
    "max_message_bytes": (*whole(1, 16 * 1024**2), None),
    "retain_processed": whole(0, 10 * YEAR),
    "retain_failed": whole(0, 10 * YEAR),
    "ordering": (*NOT_TEXT, None, "", "fifo"),
    "paused": (0, 1, "true", None, [], {}),
}
HEADERS = (
    *NOT_TEXT[:4],
    None,
    "a",
    {f"{number:02}": "" for number in range(65)},
    {"a": "x" * 16_384},
    {"a": "é" * 8192},
)
MESSAGE = {
    "content": (*NOT_TEXT, None, "\ud800", "a\udc00"),
    "content_type": LABEL,
    "headers": HEADERS,
    "priority": (*whole(0, 9), None),
    "delay": SECONDS,
    "ttl": (*SECONDS, 0),
    "group": LABEL,
    "dedup_key": LABEL,
}
BASE64 = (*NOT_TEXT, None, "a", "aGk", "aGk=\n", " aGk=", "a-_=", "é", "====", "aGk=aGk=", "\ud800")
REASON = (*NOT_TEXT, "", "x" * 1025, "a\nb", "a\x00b", "\ud800")
EXTENSION = (*NOT_NUMBERS, 0, 0.5, 43_200.5, 43_201)
RECEIPTS = (1, True, "a", {}, None)


def fields(prefix, table):
    return {f"{prefix}{name}": bad for name, bad in table.items()}


BODIES = {
    ("POST", "/queues"): ({"name": "new"}, {"name": (*NAME, None), **POLICY}),
    ("PUT", "/queues/new"): ({}, POLICY),
    ("PATCH", "/queues/q"): ({}, POLICY),
    ("POST", "/queues/q/messages"): ({"content": ""}, MESSAGE),
    ("POST", "/v1/queues/q/messages"): ({"content_base64": ""}, {"content_base64": BASE64}),
    ("POST", "/queues/q/messages/batch"): (
        {"messages": [{"content": ""}, {"content": ""}]},
        {
            "messages": (1, True, "a", {}, None, [], [{"content": ""}] * 1001),
            "messages.1": (1, True, "a", [], None),
            **fields("messages.1.", MESSAGE),
        },
    ),
    ("POST", "/queues/q/messages/lease"): (
        {},
        {
            "limit": (*whole(1, 100), None),
            "wait": (*NOT_NUMBERS, 20.5, None),
            "lease_seconds": whole(1, 43_200),
        },
    ),
    ("POST", "/messages/settle"): (
        {
            **{
                kind: [{"receipt": RECEIPT_OF_1}]
                for kind in ("ack", "retry", "release", "reject", "extend")
            },
            "publish": [{"queue": "q", "content": ""}],
        },
        {
            "ack": RECEIPTS,
            "ack.0": (1, True, [], None, "no receipt", ""),
            "ack.0.receipt": (*RECEIPT, None),
            "retry": RECEIPTS,
            "retry.0.receipt": (*RECEIPT, None),
            "retry.0.delay": SECONDS,
            "retry.0.reason": REASON,
            "release": RECEIPTS,
            "release.0.receipt": (*RECEIPT, None),
            "reject": RECEIPTS,
            "reject.0.receipt": (*RECEIPT, None),
            "reject.0.reason": REASON,
            "extend": RECEIPTS,
            "extend.0.receipt": (*RECEIPT, None),
            "extend.0.seconds": EXTENSION,
            "publish": RECEIPTS,
            "publish.0": (1, True, [], None, "a"),
            "publish.0.queue": (*NAME, None),
            **fields("publish.0.", MESSAGE),
        },
    ),
    ("POST", "/messages/1/ack"): ({}, {"receipt": RECEIPT}),
    ("POST", "/messages/1/nack?requeue=true"): (
        {},
        {"receipt": RECEIPT, "delay": SECONDS, "reason": REASON},
    ),
    ("POST", "/messages/1/extend"): ({}, {"receipt": RECEIPT, "seconds": EXTENSION}),
    ("POST", "/messages/1/release"): ({}, {"receipt": RECEIPT}),
    ("POST", "/queues/q/purge"): (
        {"states": ["pending"]},
        {
            "states": (1, True, "pending", {}, None, []),
            "states.0": (1, True, [], {}, None, "", "lapsed", "Pending"),
            "older_than": SECONDS,
        },
    ),
    ("POST", "/queues/q/redrive"): ({}, {}),
    ("POST", "/queues/q/pause"): ({}, {}),
    ("POST", "/queues/q/resume"): ({}, {}),
}
REQUIRED = [
    ("POST", "/queues", {}, "name"),
    ("POST", "/queues/q/messages", {}, "content"),
    ("POST", "/queues/q/messages/batch", {}, "messages"),
    ("POST", "/queues/q/messages/batch", {"messages": [{}]}, "messages[0].content"),
    ("POST", "/messages/settle", {"ack": [{}]}, "ack[0].receipt"),
    ("POST", "/messages/settle", {"extend": [{}]}, "extend[0].receipt"),
    ("POST", "/messages/settle", {"publish": [{"content": ""}]}, "publish[0].queue"),
    ("POST", "/messages/settle", {"publish": [{"queue": "q"}]}, "publish[0].content"),
]


def changed(body, path, value):
    """A copy of the body with another value at a path such as `messages.1.priority`."""
    body = json.loads(json.dumps(body))
    *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    place = body
    for part in parents:
        place = place.setdefault(part, {}) if isinstance(place, dict) else place[part]
    if isinstance(place, dict):
        place[last] = value
    else:
        place[last : last + 1] = [value]
    return body


def named(path):
    """The name of a field as errors give it: `messages[1].priority`."""
    name = ""
    for part in path.split("."):
        name += f"[{part}]" if part.isdigit() else f".{part}" if name else part
    return name


@pytest.mark.parametrize(
    ("method", "path", "field"),
    [(*route, field) for route, (_, table) in BODIES.items() for field in table],
)
def test_a_bad_field_of_a_body_is_named(in_use, refuse, method, path, field):
    good, table = BODIES[method, path]

    for value in table[field]:
        refuse(in_use(method, path, json=changed(good, field, value)), [named(field)], value)


@pytest.mark.parametrize(("method", "path"), BODIES)
def test_without_the_bad_field_the_bodies_of_these_tests_are_good(in_use, method, path):
    good, _ = BODIES[method, path]

    # The receipts in them are readable, and stale.
    assert in_use(method, path, json=good).status in (200, 201, 409)


@pytest.mark.parametrize(("method", "path"), BODIES)
def test_a_field_that_is_not_known_is_named(in_use, refuse, method, path):
    good, _ = BODIES[method, path]

    refuse(in_use(method, path, json={**good, "receipts": 1}), ["receipts"])


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/queues/q/messages/batch", "messages.1.queue"),  # each has the queue of the path
        ("/messages/settle", "publish.0.origin_queue"),
        ("/messages/settle", "ack.0.delay"),
        ("/messages/settle", "extend.0.reason"),
    ],
)
def test_an_unknown_field_inside_is_named(in_use, refuse, path, field):
    good, _ = BODIES["POST", path]

    refuse(in_use("POST", path, json=changed(good, field, "q")), [named(field)])


@pytest.mark.parametrize(("method", "path", "body", "field"), REQUIRED)
def test_a_missing_field_is_named(in_use, refuse, method, path, body, field):
    refuse(in_use(method, path, json=body), [field])


def test_both_ways_of_giving_the_content_are_one_too_many(in_use, refuse):
    body = {"content": "", "content_base64": ""}

    refuse(in_use("POST", "/queues/q/messages", json=body), ["content_base64"])


@pytest.mark.parametrize(
    ("headers", "field"),
    [
        ({"a\nb": ""}, "headers.a\\nb"),
        ({"\x00": ""}, "headers.\\x00"),
        ({"": ""}, 'headers.""'),
        ({"x" * 256: ""}, "headers." + "x" * 100),
        ({"a": "\r"}, "headers.a"),
        ({"a": 1}, "headers.a"),
        ({"a": None}, "headers.a"),
    ],
)
def test_a_bad_header_of_a_message_is_named(in_use, refuse, headers, field):
    body = {"content": "", "headers": headers}

    refuse(in_use("POST", "/queues/q/messages", json=body), [field], headers)


def test_every_bad_field_is_named_at_once(in_use, refuse):
    body = {"messages": [{"content": 1, "ttl": 0}, {"priority": 10}, {"content": "", "x": 1}]}

    refuse(
        in_use("POST", "/queues/-/messages/batch?limit=1", json=body),
        [
            "queue",
            "limit",
            "messages[0].content",
            "messages[0].ttl",
            "messages[1].priority",
            "messages[1].content",
            "messages[2].x",
        ],
    )


def test_an_error_repeats_no_control_characters_and_little_of_what_came(in_use, refuse):
    answer = in_use("POST", "/queues", json={"name": "\x1b[31m\r\n" + "x" * 10_000, "\n": 1})

    refuse(answer, ["name", "\\n"])
    assert answer.json["errors"][0]["received"] == "\\x1b[31m\\r\\n" + "x" * 93
