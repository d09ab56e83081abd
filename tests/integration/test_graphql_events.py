"""Subscriptions over Server-Sent Events, as clients of graphql-sse have them: in which order, for how
long, and for whom.

The clock is the tests' own; over real servers, see test_graphql_events_served.py.
"""

import asyncio
import json

import pytest
from event_stream import parse
from guarded import Guarded

from broker import Draft, Identity, QueuePolicy, QueueSpec

ADMIN = Identity(subject="admin", scopes=frozenset({"admin"}))
WITHIN = 5
"""Seconds after which who lost the right to a stream has lost the stream."""

ALL = "subscription { events { event queue messageId } }"
SECRET = 'subscription { events(queue: "secret") { event queue } }'


class Site:
    """A broker with the queues `open` and `secret`."""

    def __init__(self, server):
        self.server = server
        self.broker = server.broker
        [transport] = [t for name, t in server.assembly.transports if name == "graphql"]
        self.audience = transport.executor.events.audience
        for queue in ("open", "secret"):
            self.run(self.broker.queues.create(ADMIN, QueueSpec(queue, QueuePolicy())))

    def run(self, work):
        return self.server.run(work)

    def publish(self, queue, count=1):
        drafts = [Draft(queue=queue, body=b"x") for _ in range(count)]
        results = self.run(self.broker.publish(ADMIN, drafts))
        return [str(result.id) for result in results]

    def begin(self, query=ALL, token=None):
        headers = {"accept": "text/event-stream"}
        if token is not None:
            headers["authorization"] = f"Bearer {token}"
        return self.server.begin("POST", "/graphql", json={"query": query}, headers=headers)

    def subscribe(self, query=ALL, token=None):
        return Subscriber(self, self.begin(query, token))

    def pass_time(self, seconds, *, until):
        """Let time pass second by second, in each of which users can be looked up; by then it has
        to be `until`."""
        stays = self.broker.streams._stays
        for _ in range(seconds):
            self.server.advance(1)
            self.run(until_true(lambda: not any(s.is_being_checked for s in stays.values())))
        self.run(until_true(until))


class Subscriber:
    """One who subscribed, once it was told so."""

    def __init__(self, site, pending):
        self._site = site
        self.pending = pending
        site.run(until_true(lambda: pending.done or len(pending.outgoing) > 1))
        assert not pending.done, site.server.finish(pending)
        *_, self.stream = site.broker.streams._stays

    @property
    def is_over(self):
        return self.pending.done

    def sent(self):
        """What was sent so far, when nothing more is."""
        waiting = self.stream._subscription._waiting
        self._site.run(until_true(lambda: not waiting))
        self._site.server.advance(0)
        return b"".join(event.get("body", b"") for event in self.pending.outgoing[1:])

    def told(self):
        """The data of every result so far, or an error."""
        events = parse(self.sent())
        assert {event.name for event in events} <= {"next"}
        return [event.json["data"]["events"] for event in events]

    def queues(self):
        return [event["queue"] for event in self.told() if event["event"] == "MESSAGE_PUBLISHED"]


async def until_true(predicate):
    async with asyncio.timeout(60):
        while not predicate():
            await asyncio.sleep(0)


def ended(subscriber, reason):
    """Whether a stream ended for that reason, and the client knows that it may come again."""
    return subscriber.is_over and subscriber.sent().endswith(b": end %b\n\n" % reason.encode())


@pytest.fixture
def site(serve):
    return Site(serve(anonymous=True, plugins=["memory", "graphql"]))


@pytest.fixture
def guarded(serve, cheap_passwords):
    """The same, with rita, who may read all queues; as a site, and as what has users."""
    server = serve(plugins=["memory", "auth_jwt", "graphql"])
    guarded = Guarded(server)
    guarded.add("rita", "viewer")
    guarded.site = Site(server)
    return guarded


def test_what_happens_is_told_in_order_and_nothing_else(site):
    subscriber = site.subscribe()
    assert subscriber.pending.outgoing[0]["status"] == 200
    assert subscriber.sent() == b": hb\n\n"
    [first], [second] = site.publish("open"), site.publish("secret")
    site.run(site.broker.queues.drop(ADMIN, "open"))

    assert subscriber.told() == [
        {"event": "MESSAGE_PUBLISHED", "queue": "open", "messageId": first},
        {"event": "MESSAGE_PUBLISHED", "queue": "secret", "messageId": second},
        {"event": "QUEUE_DELETED", "queue": "open", "messageId": None},
    ]


def test_each_is_told_of_what_it_asked_for(site):
    asked = "subscription S { mine: events(queue: %s, event: %s) { q: queue kind: event } }"
    open_ = site.subscribe(asked % ('"o*"', "[MESSAGE_PUBLISHED]"))
    paused = site.subscribe(asked % ('["open", "secret"]', "QUEUE_PAUSED"))
    site.publish("open")
    site.publish("secret")
    site.run(site.broker.queues.pause(ADMIN, "secret"))

    for subscriber, queue, kind in (
        (open_, "open", "MESSAGE_PUBLISHED"),
        (paused, "secret", "QUEUE_PAUSED"),
    ):
        [event] = parse(subscriber.sent())
        assert event.json == {"data": {"mine": {"q": queue, "kind": kind}}}


def test_the_stream_is_kept_from_caches_and_from_those_who_would_hold_it_up(site):
    start = site.subscribe().pending.outgoing[0]
    headers = dict(start["headers"])

    assert headers[b"content-type"] == b"text/event-stream"
    assert headers[b"cache-control"] == b"no-store, no-transform"
    assert headers[b"x-accel-buffering"] == b"no"
    assert b"content-length" not in headers


def test_who_hears_nothing_hears_a_heartbeat(site):
    subscriber = site.subscribe()
    for _ in range(15):
        site.server.advance(1)

    assert subscriber.sent() == b": hb\n\n" * 2


def test_a_stream_ends_after_its_time_and_the_next_one_goes_on(site):
    subscriber = site.subscribe()
    site.publish("open")
    for _ in range(720):
        site.server.advance(1)

    assert ended(subscriber, "rotated")
    assert b"complete" not in subscriber.sent()
    assert len(site.audience) == 0
    again = site.subscribe()
    site.publish("open")
    assert again.queues() == ["open"]


def test_a_broker_that_stops_says_so(site):
    subscriber = site.subscribe()
    site.broker.drain()
    site.run(until_true(lambda: subscriber.is_over))

    assert ended(subscriber, "shutdown")
    answer = site.server.finish(site.begin())
    assert (answer.status, answer.json["code"]) == (503, "unavailable")


def test_who_goes_is_forgotten(site):
    subscriber = site.subscribe()
    assert (len(site.audience), len(site.broker.streams)) == (1, 1)
    site.server.hang_up(subscriber.pending)

    assert (len(site.audience), len(site.broker.streams)) == (0, 0)


def test_who_does_not_read_is_dropped_and_what_waits_is_bounded(serve):
    site = Site(
        serve(anonymous=True, plugins=["memory", "graphql"], tables={"graphql": {"buffer": 5}})
    )
    subscriber = site.subscribe()
    subscriber.pending.reading.clear()
    for _ in range(20):
        site.publish("open")
    assert len(site.audience) == 0
    subscriber.pending.reading.set()
    site.run(until_true(lambda: subscriber.is_over))

    assert ended(subscriber, "slow")
    assert len(parse(subscriber.sent())) <= 2


def test_nobody_has_more_streams_than_they_may(serve):
    site = Site(serve(anonymous=True, plugins=["memory", "graphql"], max_streams_per_identity=2))
    first = site.subscribe()
    site.subscribe()
    answer = site.server.finish(site.begin())

    assert (answer.status, answer.json["code"]) == (429, "too-many-streams")
    assert len(site.audience) == 2
    site.server.hang_up(first.pending)
    site.subscribe()


def test_a_batch_is_told_whole(site):
    subscriber = site.subscribe()
    numbers = site.publish("open", 1_000)

    assert [event["messageId"] for event in subscriber.told()] == numbers


def log_out(guarded, token):
    assert guarded("POST", "/logout", token).status == 204


def disable(guarded, token):
    guarded.run(guarded.accounts.users.set_disabled("rita", True, now=guarded.now))


def take_role(guarded, token):
    guarded.run(guarded.accounts.users.revoke("rita", ["viewer"], now=guarded.now))


@pytest.mark.parametrize("end", [log_out, disable])
def test_what_ends_a_login_ends_its_streams_and_they_cannot_be_opened_again(guarded, end):
    site = guarded.site
    token, _ = guarded.tokens("rita")
    subscriber = site.subscribe(token=token)
    site.publish("open")

    end(guarded, token)
    site.pass_time(WITHIN, until=lambda: subscriber.is_over)
    site.publish("open")

    assert ended(subscriber, "auth-expired")
    assert subscriber.queues() == ["open"]
    again = site.server.finish(site.begin(token=token))
    assert (again.status, again.json["code"]) == (401, "invalid-token")


@pytest.mark.parametrize(("query", "left"), [(ALL, None), (SECRET, "read:open")])
def test_who_may_not_read_what_was_asked_for_has_no_stream_any_more(guarded, query, left):
    site = guarded.site
    if left is not None:
        guarded.run(guarded.accounts.users.grant("rita", [left], now=guarded.now))
    token, _ = guarded.tokens("rita")
    subscriber = site.subscribe(query, token)

    take_role(guarded, token)
    site.pass_time(WITHIN, until=lambda: subscriber.is_over)

    assert ended(subscriber, "auth-expired")


def test_who_may_read_nothing_is_told_so_in_the_stream(guarded):
    take_role(guarded, None)
    token, _ = guarded.tokens("rita")
    answer = guarded.site.server.finish(guarded.site.begin(token=token))
    result, complete = parse(answer.body)

    assert (answer.status, complete.name) == (200, "complete")
    assert json.loads(result.data)["errors"] == [
        {
            "message": 'this needs the scope "read:<queue>"',
            "locations": [{"line": 1, "column": 16}],
            "path": ["events"],
            "extensions": {"code": "forbidden"},
        }
    ]


def test_who_may_read_less_than_before_is_told_less_and_keeps_the_stream(guarded):
    site = guarded.site
    guarded.run(guarded.accounts.users.grant("rita", ["read:open"], now=guarded.now))
    token, _ = guarded.tokens("rita")
    subscriber = site.subscribe(token=token)
    for queue in ("open", "secret"):
        site.publish(queue)

    take_role(guarded, token)
    less = frozenset({"read:open"})
    site.pass_time(WITHIN, until=lambda: subscriber.stream.identity.scopes == less)
    for queue in ("secret", "open"):
        site.publish(queue)

    assert subscriber.queues() == ["open", "secret", "open"]
    assert not subscriber.is_over


def test_a_stream_ends_with_its_token(guarded):
    token, _ = guarded.tokens("rita")
    guarded.server.advance(895)
    subscriber = guarded.site.subscribe(token=token)
    guarded.site.pass_time(WITHIN, until=lambda: subscriber.is_over)

    assert ended(subscriber, "auth-expired")
