"""Bad requests: whatever is wrong around the fields of a body. Nothing is stored."""

from urllib.parse import quote

import pytest

YEAR = 366 * 24 * 3600
MESSAGE = {"content": ""}
BODIES = {
    ("POST", "/queues"): {"name": "new"},
    ("PUT", "/queues/new"): {},
    ("PATCH", "/queues/q"): {},
    ("POST", "/queues/q/messages"): MESSAGE,
    ("POST", "/queues/q/messages/batch"): {"messages": [MESSAGE]},
    ("POST", "/queues/q/messages/lease"): {},
    ("POST", "/messages/settle"): {"publish": [{"queue": "q", **MESSAGE}]},
    ("POST", "/messages/1/ack"): {},
    ("POST", "/messages/1/nack"): {},
    ("POST", "/messages/1/extend"): {},
    ("POST", "/messages/1/release"): {},
    ("POST", "/queues/q/purge"): {},
    ("POST", "/queues/q/redrive"): {},
    ("POST", "/queues/q/pause"): {},
    ("POST", "/queues/q/resume"): {},
}
JSON_ONLY = [route for route in BODIES if route[1] != "/queues/q/messages"]
BODY_NEEDED = [
    ("POST", "/queues"),
    ("PUT", "/queues/q"),
    ("PATCH", "/queues/q"),
    ("POST", "/queues/q/messages/batch"),
    ("POST", "/messages/settle"),
]
WITHOUT_BODY = [
    ("GET", "/stats"),
    ("GET", "/logs"),
    ("GET", "/logs/x"),
    ("GET", "/queues"),
    ("GET", "/queues/q"),
    ("DELETE", "/queues/q"),
    ("GET", "/queues/q/messages/consume"),
    ("GET", "/queues/q/messages/stream"),
    ("GET", "/queues/q/messages"),
    ("GET", "/messages/1"),
    ("DELETE", "/messages/1"),
]
QUERIES = {
    "/queues": {
        "limit": ("", "0", "1001", "-1", "x", "1.5", "nan", str(2**70)),
        "after": ("", "a b", "\x00", "é", "x" * 256),
        "prefix": ("a b", "\x00", "é", "*", "x" * 256),
    },
    "/queues/q/messages": {
        "state": ("", "x", "pending,", "pending,x"),
        "after": ("", "-1", "x", "1.5", str(2**63), str(2**70), "9" * 5000),
        "limit": ("", "0", "1001", "-1", "x"),
        "q": ("", "a\nb", "\x00", "x" * 1025),
    },
    "/queues/q/messages/consume": {
        "wait": ("", "-1", "20.1", "nan", "inf", "x", str(2**70)),
        "lease_seconds": ("", "0", "43201", "1.5", "-1", "x", "true"),
    },
    "/queues/q/messages/stream": {
        "prefetch": ("", "0", "1001", "1.5", "-1", "x", "true"),
        "lease_seconds": ("", "0", "43201", "1.5", "-1", "x", "true"),
    },
}
RAW_QUERY = {
    "raw": ("", "2", "x", "yes"),
    "priority": ("", "-1", "10", "1.5", "x"),
    "delay": ("", "-1", str(YEAR + 1), "nan", "-inf", "x"),
    "ttl": ("", "0", "-1", str(YEAR + 1), "nan", "x"),
    "group": ("", "a\nb", "\x00", "x" * 256),
    "dedup_key": ("", "a\nb", "\x00", "x" * 256),
}
NOT_JSON = [
    b"{",
    b"\xff",
    b'{"content": "\xff"}',
    b'{"content": "\xed\xa0\x80"}',
    b'{"name": "a" "b"}',
    b'{"wait": NaN}',
    b'{"x": Infinity}',
    b"{} {}",
    b"[" * 60_000,
    b'{"content": ' + b"[" * 30_000 + b"]" * 30_000 + b"}",
    '{"content": ""}'.encode("utf-16"),
    b"\xef\xbb\xbf{}",
]
NOT_CALLED_JSON = [
    None,
    "",
    "text/plain",
    "application/jsonx",
    "application/vnd.api+json",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/json; charset=latin-1",
]
NAMES = ["a%20b", "..", ".a", "a%00", "%2e%2e", "%C3%A9", "x" * 256, "%ff", "a%0A", "%EF%BD%81"]
IDS = [
    *("0", "-1", "x", "1.5", "%2B1", "%201", "1e3", "1_0", "%D9%A1", "%00", "%ff"),
    *(str(2**63), str(2**70), "9" * 5000),
]
PROBLEM = {"type", "title", "status", "detail", "instance", "request_id", "code"}


@pytest.mark.parametrize(("method", "path"), BODIES)
def test_what_is_not_json_is_400(in_use, method, path):
    before = in_use.queues()

    for body in NOT_JSON:
        answer = in_use(method, path, body=body, content_type="application/json")
        assert (answer.status, answer.json["code"]) == (400, "malformed"), (body, answer.body)
        assert set(answer.json) == PROBLEM
    assert in_use.queues() == before


@pytest.mark.parametrize(("method", "path"), BODIES)
def test_a_body_that_is_no_object_is_refused(in_use, refuse, method, path):
    for body in (b"[]", b'"x"', b"1", b"true", b"null"):
        answer = in_use(method, path, body=body, content_type="application/json")
        refuse(answer, ["body"], body)


@pytest.mark.parametrize(("method", "path"), BODIES)
def test_a_body_with_as_much_nesting_as_can_be_read_is_refused(in_use, method, path):
    before = in_use.queues()

    for depth in (100, 450, 480, 500):
        body = b'{"x": ' + b'{"x": [' * depth + b"]}" * depth + b"}"
        answer = in_use(method, path, body=body, content_type="application/json")
        assert answer.status in (400, 422), answer.body
    assert in_use.queues() == before


@pytest.mark.parametrize(("method", "path"), JSON_ONLY)
def test_a_body_that_does_not_say_that_it_is_json_is_415(in_use, method, path):
    before = in_use.queues()

    for content_type in NOT_CALLED_JSON:
        answer = in_use(method, path, body=b"{}", content_type=content_type)
        assert (answer.status, answer.json["code"]) == (415, "unsupported-media-type")
        assert set(answer.json) == PROBLEM
    assert in_use.queues() == before


@pytest.mark.parametrize(("method", "path"), BODY_NEEDED)
def test_a_body_that_must_be_there_is_missed(in_use, method, path):
    before = in_use.queues()

    for content_type in (None, "application/json"):
        answer = in_use(method, path, content_type=content_type)
        assert (answer.status, answer.json["detail"]) == (400, "the body is empty; expected JSON")
    assert in_use.queues() == before


def test_a_described_message_must_be_there(in_use):
    answer = in_use("POST", "/queues/q/messages", content_type="application/json")

    assert answer.status == 400


@pytest.mark.parametrize(
    ("path", "name"), [(path, name) for path, table in QUERIES.items() for name in table]
)
def test_a_bad_query_parameter_is_named(in_use, refuse, path, name):
    for value in QUERIES[path][name]:
        refuse(in_use("GET", f"{path}?{name}={quote(value)}"), [name], value)


@pytest.mark.parametrize("name", RAW_QUERY)
def test_a_bad_option_of_a_raw_body_is_named(in_use, refuse, name):
    for value in RAW_QUERY[name]:
        path = f"/queues/q/messages?{name}={quote(value)}"
        refuse(in_use("POST", path, body=b"x", content_type="text/plain"), [name], value)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/queues?prefix="),
        ("GET", "/queues?after=a"),
        ("GET", "/queues/q/messages?state="),
        ("GET", "/queues/q/messages?q="),
        ("POST", "/queues/q/messages?group="),
        ("POST", "/queues/q/messages?dedup_key="),
    ],
)
def test_a_query_parameter_that_is_not_utf_8_is_named(in_use, refuse, method, path):
    name = path.partition("?")[2].partition("=")[0]

    for value in ("%ff", "a%80", "%ed%a0%80"):
        refuse(in_use(method, path + value), [name], value)


def test_the_name_of_a_query_parameter_is_told_whatever_it_is(in_use, refuse):
    answer = in_use("GET", "/queues?%ff=1&=2&a%0Ab=3&" + "x" * 200)

    refuse(answer, ["\\udcff", '""', "a\\nb", "x" * 100])


@pytest.mark.parametrize("value", ["", "2", "yes", "x"])
def test_a_bad_requeue_is_named(in_use, refuse, value):
    refuse(in_use("POST", f"/messages/1/nack?requeue={value}"), ["requeue"])


@pytest.mark.parametrize(("method", "path"), [*BODIES, *WITHOUT_BODY])
def test_a_query_parameter_that_is_not_known_is_named(in_use, refuse, method, path):
    answer = in_use(method, f"{path}?nope=1&n%C3%A9=2", json=BODIES.get((method, path)))

    refuse(answer, ["nope", "né"])


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("GET", "/queues", "limit"),
        ("GET", "/queues/q/messages", "after"),
        ("GET", "/queues/q/messages/consume", "wait"),
        ("GET", "/queues/q/messages/stream", "prefetch"),
        ("POST", "/queues/q/messages", "priority"),
        ("POST", "/messages/1/nack", "requeue"),
    ],
)
def test_a_query_parameter_that_comes_twice_is_named(in_use, refuse, method, path, name):
    answer = in_use(method, f"{path}?{name}=1&{name}=1")

    refuse(answer, [name])
    assert answer.json["detail"] == f"{name}: is given more than once"


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("Idempotency-Key", ""),
        ("Idempotency-Key", "x" * 256),
        ("Idempotency-Key", "a\x7f"),
        ("Content-Type", "x" * 256),
        ("Content-Type", "text/plain\x01"),
    ],
)
def test_a_bad_header_of_a_request_is_named(in_use, refuse, header, value):
    refuse(in_use("POST", "/queues/q/messages", body=b"x", headers={header: value}), [header])


@pytest.mark.parametrize("value", ["", "x" * 256])
def test_a_bad_idempotency_key_of_a_described_message_is_named(in_use, refuse, value):
    headers = {"Idempotency-Key": value}

    answer = in_use("POST", "/queues/q/messages", json=MESSAGE, headers=headers)

    refuse(answer, ["Idempotency-Key"])


@pytest.mark.parametrize(
    ("method", "rest"),
    [
        ("GET", ""),
        ("PUT", ""),
        ("PATCH", ""),
        ("DELETE", ""),
        ("POST", "/messages"),
        ("POST", "/messages/batch"),
        ("POST", "/messages/lease"),
        ("GET", "/messages/consume"),
        ("GET", "/messages/stream"),
        ("GET", "/messages"),
        ("POST", "/purge"),
        ("POST", "/redrive"),
        ("POST", "/pause"),
        ("POST", "/resume"),
    ],
)
def test_a_name_that_no_queue_can_have_is_refused(in_use, refuse, method, rest):
    body = BODIES.get((method, f"/queues/q{rest}"), {} if method == "PUT" else None)

    for name in NAMES:
        refuse(in_use(method, f"/queues/{name}{rest}", json=body), ["queue"], name)


@pytest.mark.parametrize(
    ("method", "rest"),
    [
        ("GET", ""),
        ("DELETE", ""),
        ("POST", "/ack"),
        ("POST", "/nack"),
        ("POST", "/extend"),
        ("POST", "/release"),
    ],
)
def test_what_is_no_id_of_a_message_is_refused(in_use, refuse, method, rest):
    for value in IDS:
        refuse(in_use(method, f"/messages/{value}{rest}"), ["id"], value)


def test_a_body_of_17_mib_is_413(in_use):
    before = in_use.queues()
    body = b'{"content": "' + b"x" * (17 * 1024 * 1024) + b'"}'

    for path, content_type in (
        ("/queues/q/messages", "application/json"),
        ("/queues/q/messages", "text/plain"),
        ("/queues/q/messages/batch", "application/json"),
        ("/messages/settle", "application/json"),
    ):
        answer = in_use("POST", path, body=body, content_type=content_type)
        assert (answer.status, set(answer.json)) == (413, PROBLEM)
    assert in_use.queues() == before
