"""The routes: what may be asked, and how a stream begins."""

from contextlib import asynccontextmanager

import pytest
from event_stream import Parser, parse

from broker import (
    Draft,
    Forbidden,
    Identity,
    Invalid,
    Malformed,
    QueueNotFound,
    QueueSpec,
    Request,
)
from broker.assembly import assemble
from broker.config import make_config
from broker.testing import ManualClock
from broker_sse.transport import SseTransport

ADMIN = Identity(subject="root", scopes=frozenset({"admin"}))


class House:
    """A broker with this plugin, and the streams that are opened of it."""

    def __init__(self, assembly):
        self.broker = assembly.broker
        [self.transport] = [t for _, t in assembly.transports if isinstance(t, SseTransport)]
        self.scopes = frozenset({"admin"})

    async def identify(self, credentials, *, peer):
        return Identity(subject="somebody", scopes=self.scopes, peer=peer)

    async def make(self, *names):
        for name in names:
            await self.broker.queues.create(ADMIN, QueueSpec(name))

    async def publish(self, queue, body=b"x"):
        [result] = await self.broker.publish(ADMIN, [Draft(queue=queue, body=body)])
        return result.id

    async def events(self, *, last=None, **query):
        headers = {} if last is None else {"last-event-id": last}
        query = {name: [v] if isinstance(v, str) else v for name, v in query.items()}
        request = Request(method="GET", path="/events", query=query, headers=headers)
        response = await self.transport.events(request)
        assert dict(response.headers)["content-type"] == "text/event-stream"
        return response.stream

    async def stream(self, queue, **query):
        query = {name: [v] for name, v in query.items()}
        request = Request(method="GET", path="/", params={"queue": queue}, query=query)
        response = await self.transport.queue(request)
        return response.stream


@asynccontextmanager
async def running(**sse):
    plugins = {"sse": sse}
    settings = {"plugins": ["memory", "sse"], "anonymous": True}
    assembly = assemble(make_config({"broker": settings, "plugins": plugins}), clock=ManualClock())
    async with assembly.running():
        house = House(assembly)
        house.broker.identify = house.identify
        yield house


async def told(feed):
    pieces = []
    while piece := await feed.take():
        pieces.append(piece)
    return parse(b"".join(pieces))


async def opened(feed):
    """What the first event says, and its id."""
    first, *rest = parse(await feed.take())
    assert (first.name, rest) == ("open", [])
    return first.json, first.id


async def test_a_stream_begins_with_where_it_resumes():
    async with running() as house:
        feed = await house.events()
        assert b"retry: " in (first := await feed.take())
        [event] = parse(first)
        assert (event.name, event.json) == ("open", {"resumed_from": None, "gap": False})
        await house.make("q")

        assert [e.json for e in await told(feed)] == [
            {"event": "queue.created", "queue": "q", "timestamp": "2023-11-14T22:13:20.000Z"}
        ]


async def test_who_got_nothing_yet_can_resume():
    async with running() as house:
        _, place = await opened(await house.events())
        await house.make("q")
        feed = await house.events(last=place)

        assert await opened(feed) == ({"resumed_from": place, "gap": False}, place)
        assert [e.name for e in await told(feed)] == ["queue.created"]


async def test_who_goes_between_the_opening_and_what_was_missed_misses_nothing():
    async with running() as house:
        _, place = await opened(await house.events())
        await house.make("a", "b")
        _, again = await opened(await house.events(last=place))

        _, *missed = await told(await house.events(last=again))

        assert [event.json["queue"] for event in missed] == ["a", "b"]


async def test_the_header_counts_more_than_the_query():
    async with running() as house:
        await house.make("a", "b")
        feed = await house.events(last_event_id="earliest")
        _, a, b = await told(feed)
        by_query = await told(await house.events(last_event_id=a.id))
        by_header = await told(await house.events(last=b.id, last_event_id=a.id))

        assert by_query[0].json == {"resumed_from": a.id, "gap": False}
        assert by_query[1:] == [b]
        assert [e.json for e in by_header] == [{"resumed_from": b.id, "gap": False}]


@pytest.mark.parametrize(
    "given",
    ["0-1", "future", "nonsense", "a\nb", "a\0b", "é", "\udcff", "x" * 10_000, "-", "e-1e3"],
)
@pytest.mark.parametrize("place", ["header", "query"])
async def test_an_id_that_is_none_of_ours_is_a_gap_and_no_error(given, place):
    async with running() as house:
        await house.make("q")
        newest = str(house.transport._hub.history.newest)
        if given == "future":
            given = newest + "0"
        options = {"last": given} if place == "header" else {"last_event_id": given}

        feed = await house.events(**options)
        assert await opened(feed) == ({"resumed_from": None, "gap": True}, newest)
        assert await told(feed) == []


async def test_an_empty_id_is_none():
    async with running() as house:
        for options in ({"last": ""}, {"last_event_id": ""}):
            assert (await opened(await house.events(**options)))[0]["gap"] is False


async def test_of_what_is_too_old_the_client_gets_what_is_left():
    async with running(history=2) as house:
        _, place = await opened(await house.events())
        await house.make("a", "b", "c")
        opening, *rest = await told(await house.events(last=place))

        assert opening.json["gap"]
        assert opening.json["resumed_from"] == opening.id
        assert [e.json["queue"] for e in rest] == ["b", "c"]


async def test_all_of_the_history_can_be_asked_for():
    async with running(history=2) as house:
        await house.make("a", "b", "c")
        opening, *rest = await told(await house.events(last_event_id="earliest"))

        assert opening.json == {"resumed_from": opening.id, "gap": False}
        assert [e.json["queue"] for e in rest] == ["b", "c"]


async def test_another_run_of_the_broker_is_a_gap():
    async with running() as house:
        _, place = await opened(await house.events())
    async with running() as house:
        assert (await opened(await house.events(last=place)))[0] == {
            "resumed_from": None,
            "gap": True,
        }


async def test_only_what_is_asked_for_is_told_now_and_from_the_history():
    async with running() as house:
        await house.make("orders", "mail")
        asked = {"queue": ["ord*", "paper"], "event": "message.*", "last_event_id": "earliest"}
        await house.publish("orders")
        feed = await house.events(**asked)
        await house.publish("orders")
        await house.publish("mail")
        _, *events = await told(feed)

        assert [(e.name, e.json["queue"]) for e in events] == [("message.published", "orders")] * 2


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ({"qeue": "a"}, 'there is no parameter "qeue" here; expected "queue", "event", '),
        ({"a\nb": ""}, r'there is no parameter "a\nb" here; expected '),
        ({"x" * 500: ""}, 'there is no parameter "' + "x" * 80 + '…" here; expected '),
        ({"event": "nothing"}, 'no event is called "nothing"; there are '),
        ({"queue": "a\tb"}, r'received "a\tb"'),
        ({"payload": "yes"}, 'expected 1 or 0 as "payload", received "yes"'),
        ({"payload": ["1", "1"]}, 'expected one "payload", received 2'),
        ({"last_event_id": ["a", "b"]}, 'expected one "last_event_id", received 2'),
    ],
)
async def test_what_cannot_be_asked_is_refused(query, problem):
    async with running() as house:
        with pytest.raises(Malformed) as refused:
            await house.events(**query)

        assert problem in str(refused.value)
        assert str(refused.value).isprintable()


async def test_a_queue_that_is_not_there_may_come():
    async with running() as house:
        feed = await house.events(queue="q")
        await house.make("q")

        assert [e.name for e in await told(feed)] == ["open", "queue.created"]


async def test_a_queue_that_may_not_be_seen_is_like_one_that_is_not_there():
    async with running() as house:
        await house.make("mine", "hidden")
        house.scopes = frozenset({"read:mine"})
        feed = await house.events(queue="hidden,mine")
        await house.publish("hidden")
        await house.publish("mine")

        assert [e.json["queue"] for e in (await told(feed))[1:]] == ["mine"]


async def test_a_queue_that_may_be_seen_but_not_read_is_refused_by_its_name():
    async with running() as house:
        await house.make("q")
        house.scopes = frozenset({"publish:q", "read:other"})

        with pytest.raises(Forbidden) as refused:
            await house.events(queue="q")
        assert refused.value.scope == "read:q"
        await house.events(queue="q*")


async def test_bodies_are_for_who_may_consume_and_asks_for_them():
    async with running() as house:
        await house.make("q")
        asked = {"queue": "q", "event": "message.published"}
        for payload, is_told in (("1", True), ("true", True), ("0", False), ("false", False)):
            feed = await house.events(**asked, payload=payload)
            await house.publish("q", b"body")
            [event] = (await told(feed))[1:]
            assert (event.json.get("content") == "body") is is_told

        house.scopes = frozenset({"read:*"})
        await house.events(queue="q")
        await house.events(queue="*", payload="1")
        with pytest.raises(Forbidden) as refused:
            await house.events(queue="q", payload="1")
        assert refused.value.scope == "consume:q"


async def test_who_may_not_consume_a_queue_any_more_loses_the_stream_with_its_bodies():
    async with running() as house:
        await house.make("q")
        with_bodies = await house.events(queue="q", payload="1")
        without = await house.events(queue="q")
        house.scopes = frozenset({"read:*"})

        without.admit(await without.recheck())
        with pytest.raises(Forbidden):
            with_bodies.admit(await with_bodies.recheck())


async def test_who_loses_a_queue_that_was_asked_for_by_name_loses_the_stream():
    async with running() as house:
        await house.make("q")
        feed = await house.events(queue="q,later")
        feed.admit(await feed.recheck())
        house.scopes = frozenset({"read:other"})

        with pytest.raises(QueueNotFound):
            feed.admit(await feed.recheck())


async def test_a_queue_is_watched_in_the_way_of_old():
    async with running() as house:
        await house.make("q", "other")
        feed = await house.stream("q")
        await house.publish("other")
        number = await house.publish("q")
        await house.broker.queues.pause(ADMIN, "q")
        parser = Parser().feed(await feed.take()).feed(await feed.take())

        at = "2023-11-14T22:13:20.000Z"
        assert [(e.name, e.json) for e in parser.events] == [
            ("system", {"queue": "q", "message_id": None, "event": "connected", "timestamp": at}),
            (
                "message",
                {"queue": "q", "message_id": number, "event": "message.published", "timestamp": at},
            ),
        ]
        assert await feed.take() == b""


async def test_who_watches_a_queue_can_resume():
    async with running() as house:
        await house.make("q")
        system, published = await _watched(house)
        resumed = await told(await house.stream("q", last_event_id=system.id))
        gone = await told(await house.stream("q", last_event_id="0-0"))

        assert resumed[1:] == [published]
        assert [(e.name, e.data) for e in gone[1:]] == [("gap", '{"reason":"history"}')]


async def _watched(house):
    feed = await house.stream("q")
    await house.publish("q")
    return await told(feed)


@pytest.mark.parametrize(("queue", "scopes"), [("q", ["read:other"]), ("missing", ["admin"])])
async def test_a_queue_that_is_not_there_cannot_be_watched(queue, scopes):
    async with running() as house:
        await house.make("q")
        house.scopes = frozenset(scopes)

        with pytest.raises(QueueNotFound):
            await house.stream(queue)


async def test_a_queue_of_an_impossible_name_cannot_be_watched():
    async with running() as house:
        for name in ("a b", "\udcff", "", "a\n", "é"):
            with pytest.raises(Invalid):
                await house.stream(name)


async def test_watching_a_queue_has_no_filters():
    async with running() as house:
        await house.make("q")
        with pytest.raises(Malformed, match='no parameter "event" here'):
            await house.stream("q", event="message.acked")


async def test_who_may_not_read_a_queue_any_more_watches_it_no_more():
    async with running() as house:
        await house.make("q")
        feed = await house.stream("q")
        house.scopes = frozenset({"publish:q"})

        with pytest.raises(Forbidden):
            feed.admit(await feed.recheck())


async def test_stats_are_for_who_names_them():
    async with running() as house:
        await house.make("q")
        house.broker.clock.advance(1)  # a look at the queues is good for a second
        feed = await house.events(event="stats", queue="q")
        other = await house.events()
        await feed.take()
        [shown] = parse(await feed.next())
        await house.publish("q")

        assert (shown.name, shown.id) == ("stats", "")
        assert shown.json["queues"] == 1
        assert await feed.take() == b""
        assert [event.name for event in await told(other)] == ["open", "message.published"]
        await feed.close()
        assert not house.transport._stats._watchers
