"""Messages as a stream: in both forms, through every adapter, beside all other routes."""

import asyncio
import json

import pytest
from event_stream import Parser

from broker.testing import ManualClock

PATH = "/queues/q/messages/stream"
NDJSON = {"accept": "application/x-ndjson"}


class Following:
    """A client of a stream: reads what comes, until it goes."""

    def __init__(self, server, path=PATH, headers=NDJSON, **request):
        self._server = server
        self.pending = server.begin("GET", path, headers=headers, **request)

    @property
    def body(self):
        return b"".join(event.get("body", b"") for event in self.pending.outgoing)

    @property
    def headers(self):
        fields = self.pending.outgoing[0]["headers"]
        return {name.decode().lower(): value.decode() for name, value in fields}

    @property
    def lines(self):
        return [json.loads(line) for line in self.body.splitlines() if line]

    @property
    def messages(self):
        return [line for line in self.lines if "id" in line]

    def settle(self, kind="ack", *, messages=None, **how):
        chosen = self.messages if messages is None else messages
        body = {kind: [message["receipt"] for message in chosen]}
        answer = self._server("POST", "/messages/settle", json=body, **how)
        assert answer.status == 200
        return [result["outcome"] for result in answer.json["results"]]

    def go(self):
        self._server.hang_up(self.pending)


@pytest.fixture
def follow(with_queue):
    return lambda *args, **options: Following(with_queue, *args, **options)


def counts(server):
    return server("GET", "/queues/q").json["counts"]


def test_messages_come_as_lines_while_there_is_room(with_queue, follow):
    for content in ("a", "b", "c"):
        with_queue.publish(content)
    stream = follow(PATH + "?prefetch=2")
    assert stream.headers["content-type"] == "application/x-ndjson"
    assert stream.headers["cache-control"] == "no-store, no-transform"
    assert "content-length" not in stream.headers
    assert [message["content"] for message in stream.messages] == ["a", "b"]

    assert stream.settle(messages=stream.messages[:1]) == ["ok"]
    assert [message["content"] for message in stream.messages] == ["a", "b", "c"]
    stream.settle(messages=stream.messages[1:])
    with_queue.publish("d")

    assert stream.messages[3]["content"] == "d"
    stream.go()


def test_messages_come_as_events_to_all_others(with_queue, follow):
    with_queue.publish("line\r\nline\rline\n\0\u2028")
    for headers in ({}, {"accept": "text/event-stream"}, {"accept": "*/*"}):
        stream = follow(headers=headers)
        told = Parser().feed(stream.body)

        assert stream.headers["content-type"] == "text/event-stream"
        assert 2400 <= told.retry <= 3600
        [message] = told.events
        assert (message.name, message.json["content"]) == (
            "message",
            "line\r\nline\rline\n\0\u2028",
        )
        stream.go()


def test_a_message_is_what_a_lease_answers(with_queue, follow):
    with_queue.publish("x", headers={"a": "b"}, priority=7, group="g")
    stream = follow(PATH + "?lease_seconds=77")
    [streamed] = stream.messages
    stream.go()

    [leased] = with_queue.lease(lease_seconds=77)

    assert {**streamed, "receipt": 0, "leased_by": 0} == {**leased, "receipt": 0, "leased_by": 0}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/messages/1/ack", {}),
        ("/messages/1/nack", {}),
        ("/messages/1/nack?requeue=true", {}),
        ("/messages/1/release", {}),
        ("/messages/settle", {"reject": ["{receipt}"]}),
        ("/messages/settle", {"ack": ["{receipt}"], "publish": [{"queue": "q", "content": "p"}]}),
    ],
)
def test_whatever_way_a_message_is_settled_the_next_one_comes(with_queue, follow, path, body):
    with_queue.publish("first")
    with_queue.publish("second")
    stream = follow(PATH + "?prefetch=1")
    [message] = stream.messages
    text = json.dumps(body).replace("{receipt}", message["receipt"])

    answer = with_queue(
        "POST", path, body=text.encode(), content_type="application/json", client="198.51.100.9"
    )

    assert (answer.status, len(stream.messages)) == (200, 2)
    stream.go()


def test_a_connection_that_breaks_gives_everything_back_at_once(with_queue, follow):
    for _ in range(5):
        with_queue.publish()
    stream = follow(PATH + "?prefetch=3")
    assert counts(with_queue)["processing"] == 3

    stream.go()

    assert (counts(with_queue)["pending"], counts(with_queue)["processing"]) == (5, 0)
    assert [message["delivery_count"] for message in with_queue.lease(limit=5)] == [1] * 5


def test_who_goes_with_the_last_byte_of_the_request_keeps_nothing(with_queue):
    with_queue.publish()

    with_queue.send_and_go("GET", PATH)

    assert counts(with_queue)["processing"] == 0


def test_an_idle_stream_is_kept_alive_and_that_means_nothing(with_queue, follow):
    lines, events = follow(), follow(headers={})
    before = len(lines.body)

    for _ in range(16):
        with_queue.advance(1)

    assert lines.body[before:] == b"\n"
    told = Parser().feed(events.body)
    assert (told.comments, told.events) == (1, [])
    lines.go()
    events.go()


def end_of(server, stream):
    """What ends a stream whose time has come; nothing else is to be waited for."""
    for _ in range(12):
        server.advance(60)
    assert stream.pending.done
    return stream.lines[-1]


def test_after_a_rotation_the_client_can_settle_what_it_has(with_queue, follow):
    with_queue("PATCH", "/queues/q", json={"lease_seconds": 3600})
    with_queue.publish()
    stream = follow()

    assert end_of(with_queue, stream) == {"event": "end", "reason": "rotated"}

    assert counts(with_queue)["processing"] == 1
    assert stream.settle() == ["ok"]


def test_a_rotation_that_the_client_never_heard_of_keeps_nothing(with_queue, follow):
    with_queue("PATCH", "/queues/q", json={"lease_seconds": 3600})
    with_queue.publish()
    stream = follow()
    stream.pending.reading.clear()

    for _ in range(12):
        with_queue.advance(60)
    assert not stream.pending.done
    stream.go()

    assert counts(with_queue)["processing"] == 0


def test_a_broker_that_stops_takes_everything_back(with_queue, follow):
    with_queue.publish()
    stream = follow()

    async def drain():
        with_queue.broker.drain()

    with_queue.run(drain())
    with_queue.advance(0)

    assert (stream.pending.done, stream.lines[-1]) == (True, {"event": "end", "reason": "shutdown"})
    assert with_queue.run(processing(with_queue.broker)) == 0


async def processing(broker):
    from readers import ADMIN

    return (await broker.queues.get(ADMIN, "q")).counts.processing


def test_a_queue_that_is_deleted_ends_its_streams(with_queue, follow):
    with_queue.publish()
    events, lines = follow(PATH + "?prefetch=1", headers={}), follow()

    assert with_queue("DELETE", "/queues/q").status == 204

    assert lines.lines[-1] == {"event": "end", "reason": "deleted"}
    told = Parser().feed(events.body).events[-1]
    assert (told.name, told.json) == ("end", {"reason": "deleted"})
    assert lines.pending.done
    assert events.pending.done


@pytest.mark.parametrize(
    ("path", "headers", "status", "about"),
    [
        ("/queues/none/messages/stream", {}, 404, "queue-not-found"),
        ("/queues/-/messages/stream", {}, 422, ["queue"]),
        (
            PATH + "?prefetch=0&lease_seconds=x&wait=1",
            {},
            422,
            ["prefetch", "lease_seconds", "wait"],
        ),
        (PATH + "?prefetch=1001", {}, 422, ["prefetch"]),
        (PATH + "?prefetch=1&prefetch=2", {}, 422, ["prefetch"]),
        (PATH, {"accept": "application/json"}, 406, "not-acceptable"),
        (PATH, {"authorization": "Bearer nobody"}, 401, "unauthenticated"),
    ],
)
def test_what_cannot_be_streamed_is_refused_before_it_begins(
    with_queue, path, headers, status, about
):
    answer = with_queue("GET", path, headers=headers)

    assert answer.status == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert about == (answer.fields if isinstance(about, list) else answer.json["code"])


def test_looking_at_the_headers_of_a_stream_leases_nothing(with_queue):
    with_queue.publish()

    answer = with_queue("HEAD", PATH)

    assert (answer.status, answer.headers["allow"]) == (405, "GET")
    assert counts(with_queue)["processing"] == 0


SCOPES = """
    from broker import Authenticator, Identity, hookimpl

    MAY = {"ana": {"consume:*"}, "eve": {"consume:*"}, "admin": {"admin"}}

    class Names(Authenticator):
        async def authenticate(self, credentials):
            if credentials.token not in MAY:
                return None
            return Identity(subject=credentials.token, scopes=frozenset(MAY[credentials.token]))

    @hookimpl
    def provide_authenticator(plugin):
        return Names()
"""


def bearer(name, **headers):
    return {"authorization": f"Bearer {name}", **headers}


@pytest.fixture
def named(serve, install):
    install("names", SCOPES)
    server = serve(plugins=["memory", "names"])
    admin = bearer("admin")
    assert server("POST", "/queues", json={"name": "q"}, headers=admin).status == 201
    for content in "ab":
        message = {"content": content}
        assert server("POST", "/queues/q/messages", json=message, headers=admin).status == 201
    return server


@pytest.mark.parametrize("scopes", [{"read:*"}, {"consume:other"}, None])
def test_who_may_not_consume_any_more_is_out_within_five_seconds(named, scopes):
    import acme_names

    stream = Following(named, PATH + "?prefetch=1", headers=bearer("eve", **NDJSON))
    assert len(stream.messages) == 1
    if scopes is None:
        del acme_names.MAY["eve"]
    else:
        acme_names.MAY["eve"] = scopes

    for _ in range(5):
        named.advance(1)

    assert stream.lines[-1] == {"event": "auth-expired", "reason": "auth-expired"}
    assert stream.pending.done
    left = named("GET", "/queues/q", headers=bearer("admin")).json["counts"]
    assert (left["pending"], left["processing"]) == (2, 0)


def test_another_identity_may_settle_and_who_streams_gets_the_next(named):
    stream = Following(named, PATH + "?prefetch=1", headers=bearer("eve", **NDJSON))

    assert stream.settle(headers=bearer("ana")) == ["ok"]

    assert [message["leased_by"] for message in stream.messages] == ["eve", "eve"]
    stream.go()


def test_a_large_message_comes_in_parts_and_whole(with_queue, follow):
    with_queue("PATCH", "/queues/q", json={"max_message_bytes": 16 * 1024 * 1024})
    body = b"\xff" * (1024 * 1024)
    with_queue("POST", "/queues/q/messages", body=body, content_type="image/png")
    with_queue.publish("next")
    stream = follow()

    assert [message["id"] for message in stream.messages] == [1, 2]
    assert len(stream.messages[0]["content_base64"]) == 1_398_104
    assert max(len(event.get("body", b"")) for event in stream.pending.outgoing) <= 128 * 1024
    stream.go()


def test_an_end_in_the_midst_of_a_large_message_comes_after_it(with_queue, follow):
    stream = follow()
    stream.pending.reading.clear()
    with_queue("POST", "/queues/q/messages", body=b"x" * 1_000_000, content_type="text/plain")
    with_queue.publish("never sent")

    async def drain_and_read():
        with_queue.broker.drain()
        stream.pending.reading.set()

    with_queue.run(drain_and_read())
    with_queue.advance(0)

    message, end = stream.lines
    assert len(message["content"]) == 1_000_000
    assert end == {"event": "end", "reason": "shutdown"}
    assert with_queue.run(processing(with_queue.broker)) == 0
