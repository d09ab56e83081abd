"""Streams of those who may not have them any more: in time, and with a word of farewell.

J9 and J10 of docs/security.md. The clock is the tests' own; over real servers and in seconds, see
test_events_closed_in_time.py.
"""

import asyncio
import json

import pytest
from guarded import Guarded

from broker import Draft, Identity, QueuePolicy, QueueSpec

ADMIN = Identity(subject="admin", scopes=frozenset({"admin"}))
WITHIN = 5
"""Seconds after which who lost the right to a stream has lost the stream."""


@pytest.fixture
def broker(serve, cheap_passwords):
    """A broker with the queues `open` and `secret`, and rita, who may read them."""
    broker = Guarded(serve(plugins=["memory", "auth_jwt", "sse"]))
    broker.add("rita", "viewer")
    for queue in ("open", "secret"):
        spec = QueueSpec(queue, QueuePolicy())
        broker.run(broker.server.broker.queues.create(ADMIN, spec))
    return broker


class Watching:
    """Rita's stream."""

    def __init__(self, broker, path="/events", **request):
        self._broker = broker
        self._pending = broker.server.begin("GET", path, **request)
        streams = broker.server.broker.streams
        broker.run(until_true(lambda: self.is_over or len(streams) == 1))
        assert not self.is_over, broker.server.finish(self._pending)
        [self.stream] = streams._stays

    @property
    def is_over(self):
        return self._pending.done

    def told(self):
        """Every event until the end of the stream: its name, and what of its data is given."""
        answer = self._broker.server.finish(self._pending)
        assert answer.status == 200
        events = []
        for block in answer.body.decode().split("\n\n"):
            fields = dict(line.partition(": ")[::2] for line in block.split("\n") if line)
            if "event" in fields:
                events.append((fields["event"], json.loads(fields["data"])))
        return events


def header(token):
    return {"headers": {"authorization": f"Bearer {token}"}}


def by_header(broker, token):
    return header(token)


def by_cookie(broker, token):
    answer = broker("POST", "/events/session", token)
    return {"headers": {"cookie": answer.headers["set-cookie"].partition(";")[0]}}


WAYS = [by_header, by_cookie]


def log_out(broker, token):
    assert broker("POST", "/logout", token).status == 204


def change_password(broker, token):
    hashed = broker.run(broker.parts.passwords.hash("another long password"))
    broker.run(broker.accounts.users.set_password("rita", hashed, now=broker.now))


def disable(broker, token):
    broker.run(broker.accounts.users.set_disabled("rita", True, now=broker.now))


def take_role(broker, token):
    broker.run(broker.accounts.users.revoke("rita", ["viewer"], now=broker.now))


def publish(broker, queue):
    broker.run(broker.server.broker.publish(ADMIN, [Draft(queue=queue, body=b"x")]))


def pass_time(broker, seconds, *, until):
    """Let time pass second by second, in each of which users can be looked up; by then it has to
    be `until`."""
    stays = broker.server.broker.streams._stays
    for _ in range(seconds):
        broker.server.advance(1)
        broker.run(until_true(lambda: not any(s.is_being_checked for s in stays.values())))
    broker.run(until_true(until))


async def until_true(predicate):
    async with asyncio.timeout(60):
        while not predicate():
            await asyncio.sleep(0)


def is_expiry(event):
    return event == ("auth-expired", {"reason": "auth-expired"})


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("end", [log_out, change_password, disable])
def test_j9_what_ends_a_login_ends_its_streams_and_they_cannot_be_opened_again(broker, end, way):
    token, _ = broker.tokens("rita")
    request = way(broker, token)
    watching = Watching(broker, **request)
    publish(broker, "open")

    end(broker, token)
    pass_time(broker, WITHIN, until=lambda: watching.is_over)
    publish(broker, "open")

    *told, last = watching.told()
    assert is_expiry(last)
    assert [name for name, _ in told if name == "message.published"] == ["message.published"]
    again = broker.server("GET", "/events", **request)
    assert (again.status, again.json["code"]) == (401, "invalid-token")


def test_j9_a_stream_that_a_ticket_opened_ends_with_the_login_that_asked_for_the_ticket(broker):
    token, _ = broker.tokens("rita")
    used, unused = [broker("POST", "/events/ticket", token).json["ticket"] for _ in range(2)]
    watching = Watching(broker, path=f"/events?ticket={used}")
    unknown = broker("GET", "/events?ticket=unknown", headers={"x-request-id": "r"})

    log_out(broker, token)
    pass_time(broker, WITHIN, until=lambda: watching.is_over)

    assert is_expiry(watching.told()[-1])
    for ticket in (used, unused):
        assert broker("GET", f"/events?ticket={ticket}", headers={"x-request-id": "r"}) == unknown
    assert (unknown.status, unknown.json["code"]) == (401, "invalid-ticket")


@pytest.mark.parametrize("way", WAYS)
def test_j9_who_may_read_nothing_any_more_has_no_stream_any_more(broker, way):
    token, _ = broker.tokens("rita")
    request = way(broker, token)
    watching = Watching(broker, **request)

    take_role(broker, token)
    pass_time(broker, WITHIN, until=lambda: watching.is_over)

    assert is_expiry(watching.told()[-1])
    again = broker.server("GET", "/events", **request)
    assert (again.status, again.json["detail"]) == (403, 'this needs the scope "read:<queue>"')


def test_j9_who_may_read_less_than_before_is_told_less_and_keeps_the_stream(broker):
    broker.run(broker.accounts.users.grant("rita", ["read:open"], now=broker.now))
    token, _ = broker.tokens("rita")
    watching = Watching(broker, **header(token))
    for queue in ("open", "secret"):
        publish(broker, queue)

    take_role(broker, token)
    pass_time(
        broker, WITHIN, until=lambda: watching.stream.identity.scopes == frozenset({"read:open"})
    )
    for queue in ("secret", "open"):
        publish(broker, queue)
    broker.server.advance(720)

    told = [(name, data.get("queue")) for name, data in watching.told()]
    published = [queue for name, queue in told if name == "message.published"]
    assert published == ["open", "secret", "open"]
    assert told[-1] == ("end", None)


@pytest.mark.parametrize(
    ("left", "answer"),
    [("consume:secret", (403, "forbidden")), ("read:open", (404, "queue-not-found"))],
)
def test_j9_who_may_not_read_a_queue_any_more_loses_the_stream_of_that_queue(broker, left, answer):
    broker.run(broker.accounts.users.grant("rita", [left], now=broker.now))
    token, _ = broker.tokens("rita")
    watching = Watching(broker, path="/stream/secret", **header(token))

    take_role(broker, token)
    pass_time(broker, WITHIN, until=lambda: watching.is_over)

    assert is_expiry(watching.told()[-1])
    again = broker.server("GET", "/stream/secret", **header(token))
    assert (again.status, again.json["code"]) == answer


def test_j9_what_happened_before_is_told_to_those_only_who_may_read_it_now(broker):
    broker.run(broker.accounts.users.grant("rita", ["read:open"], now=broker.now))
    token, _ = broker.tokens("rita")
    for queue in ("secret", "open"):
        publish(broker, queue)
    take_role(broker, token)

    watching = Watching(broker, path="/events?last_event_id=earliest", **header(token))
    broker.server.advance(720)

    told = [data["queue"] for name, data in watching.told() if "queue" in data]
    assert told == ["open", "open"]  # made, and published to


def test_j9_who_may_read_more_than_before_is_told_more(broker):
    broker.run(broker.accounts.users.grant("rita", ["read:open"], now=broker.now))
    take_role(broker, None)
    token, _ = broker.tokens("rita")
    watching = Watching(broker, **header(token))
    publish(broker, "secret")

    broker.run(broker.accounts.users.grant("rita", ["viewer"], now=broker.now))
    pass_time(broker, WITHIN, until=lambda: len(watching.stream.identity.scopes) == 2)
    publish(broker, "secret")
    broker.server.advance(720)

    told = [data["queue"] for name, data in watching.told() if name == "message.published"]
    assert told == ["secret"]


@pytest.mark.parametrize("way", WAYS)
def test_j10_a_stream_ends_with_its_token(broker, way):
    token, _ = broker.tokens("rita")
    request = way(broker, token)
    broker.server.advance(500)
    watching = Watching(broker, **request)

    pass_time(broker, 399, until=lambda: True)
    assert not watching.is_over
    pass_time(broker, 2, until=lambda: watching.is_over)

    assert is_expiry(watching.told()[-1])
    again = broker.server("GET", "/events", **request)
    assert (again.status, again.json["code"]) == (401, "invalid-token")
    # Elsewhere it is taken for as long as clocks may be wrong.
    assert broker("GET", "/queues", token).status == 200


def test_users_who_cannot_be_looked_up_end_streams_as_unavailable_and_not_as_expired(
    broker, monkeypatch
):
    token, _ = broker.tokens("rita")
    watching = Watching(broker, **header(token))

    async def fail():
        raise OSError("the database is gone")

    monkeypatch.setattr(broker.accounts.changes, "current", fail)
    pass_time(broker, WITHIN, until=lambda: watching.is_over)

    assert watching.told()[-1] == ("end", {"reason": "unavailable"})
