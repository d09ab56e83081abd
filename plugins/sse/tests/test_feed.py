"""A client's stream: order, permissions, and what becomes of one that is slow."""

import asyncio

import pytest
from event_stream import Parser, parse

from broker import Event, Forbidden, Identity, QueueNotFound
from broker_sse.entry import Entry, EventId
from broker_sse.feed import PIECE_BYTES, Feed
from broker_sse.filters import Filter
from broker_sse.hub import Hub

BUFFER = 256
ANYBODY = Identity(subject="anybody")


class Rights:
    """A broker as far as a feed asks one: what may be read."""

    def __init__(self, *hidden):
        self.hidden = set(hidden)
        self.asked = []

    def permits(self, identity, action, queue):
        self.asked.append((identity.subject, action, queue))
        return queue not in self.hidden

    def permit_some(self, identity, action):
        pass

    def permit(self, identity, action, queue):
        if not self.permits(identity, action, queue):
            raise Forbidden(f"{action}:{queue}")


class House:
    def __init__(self, *, history=10_000, hidden=()):
        self.hub = Hub(history=history, buffer=BUFFER)
        self.hub.begin((), before=EventId("e", 0))
        self.rights = Rights(*hidden)
        self.told = 0

    def tell(self, *queues, kind="message.acked", **fields):
        entries = []
        for queue in queues:
            self.told += 1
            event = Event(kind=kind, queue=queue, at=0, subject="s", **fields)
            entries.append(Entry(EventId("e", self.told), event))
        self.hub.tell(entries)

    def open(self, *, after=None, opening=b"", **options):
        history = self.hub.history
        start = history.new() if after is None else history.after(EventId("e", after))
        given = {"wants": Filter(), "write": lambda entry: entry.as_event, "recheck": None}
        return Feed(
            self.rights, self.hub, ANYBODY, start=start, opening=opening, **(given | options)
        )


async def taken(feed):
    """All that there is now, as sequences; what is not an event of an entry, by its name."""
    events = parse(b"".join([piece async for piece in pieces(feed)]))
    return [e.name if "." not in e.name else int(e.id.partition("-")[2]) for e in events]


async def pieces(feed):
    while piece := await feed.take():
        yield piece


async def test_a_client_is_told_when_to_come_again_and_then_what_there_is():
    house = House()
    feeds = [house.open(opening=b"event: open\ndata: {}\n\n") for _ in range(50)]
    parsers = [Parser().feed(await feed.take()) for feed in feeds]

    assert all(2_400 <= parser.retry <= 3_600 for parser in parsers)
    assert len({parser.retry for parser in parsers}) > 10
    assert [event.name for event in parsers[0].events] == ["open"]
    assert await feeds[0].take() == b""


async def test_events_come_as_they_happen():
    house = House()
    house.tell("before")
    feed = house.open()
    house.tell("q")
    house.tell("q", "q")

    assert await taken(feed) == [2, 3, 4]
    assert await feed.take() == b""
    house.tell("q")
    assert await taken(feed) == [5]


async def test_a_waiting_client_is_woken():
    house = House()
    feed = house.open(wants=Filter(names=frozenset(["mine"]), globs=frozenset()))
    await taken(feed)
    waiting = asyncio.ensure_future(feed.next())
    house.tell("other")
    for _ in range(5):
        await asyncio.sleep(0)
    assert not waiting.done()
    house.tell("mine")

    assert [event.id for event in parse(await waiting)] == ["e-2"]


async def test_what_was_missed_comes_before_what_is_new():
    house = House()
    for _ in range(3):
        house.tell("q")
    feed = house.open(after=1)
    house.tell("q")

    assert await taken(feed) == [2, 3, 4]
    house.tell("q")
    assert await taken(feed) == [5]


async def test_a_long_history_neither_overflows_the_buffer_nor_loses_the_order():
    house = House()
    house.tell(*["q"] * 10_000)
    feed = house.open(after=0)
    received, sizes = [], []
    async for piece in pieces(feed):
        received += [int(e.id.partition("-")[2]) for e in parse(piece)]
        sizes.append(len(piece))
        if house.told < 12_000:
            house.tell("q")
            house.tell(*["q"] * 100)

    assert received == list(range(1, house.told + 1))
    assert house.told > 10_000 + BUFFER
    assert max(sizes) < PIECE_BYTES + 1_000
    assert feed.end_reason is None


async def test_a_history_of_which_nothing_is_wanted_is_looked_through_by_and_by():
    house = House()
    house.tell(*["other"] * 2_000, "mine")
    feed = house.open(after=0, wants=Filter(names=frozenset(["mine"]), globs=frozenset()))
    await feed.take()
    looking = asyncio.ensure_future(feed.take())
    await asyncio.sleep(0)

    assert not looking.done()
    assert [event.id for event in parse(await looking)] == ["e-2001"]


async def test_a_client_that_is_overtaken_by_the_history_is_dropped():
    house = House(history=1_000)
    house.tell(*["q"] * 1_000)
    feed = house.open(after=0)
    await feed.next()
    house.tell(*["q"] * 1_000)
    while feed.end_reason is None:
        await feed.take()

    [told] = parse(await feed.next())
    assert (told.name, told.json) == ("dropped", {"reason": "slow"})
    assert await feed.next() == b""


async def test_a_short_history_is_no_reason_to_drop_anybody():
    house = House(history=3)
    house.tell(*["q"] * 5)
    feed = house.open(after=2)
    house.tell(*["q"] * 200)

    assert await taken(feed) == [*range(3, 206)]


async def test_a_slow_client_is_dropped_and_told_why():
    house = House()
    feed = house.open()
    await taken(feed)
    for _ in range(BUFFER):
        house.tell("q")
    assert feed.end_reason is None
    house.tell("q")

    [told] = parse(await feed.next())
    assert (told.name, told.json) == ("dropped", {"reason": "slow"})
    assert await feed.next() == b""


async def test_who_is_dropped_is_counted_once():
    house = House()
    feed, ended = house.open(), house.open()
    for one in (feed, ended):
        await taken(one)
    ended.end("shutdown")
    for _ in range(3 * BUFFER):
        house.tell("q")

    assert (house.hub.evicted, len(house.hub)) == (1, 2)
    await feed.close()
    assert len(house.hub) == 1


async def test_what_waits_is_counted_while_a_piece_is_being_taken():
    house = House()
    feed = house.open()
    await taken(feed)
    house.tell(*["q"] * 1_000)
    piece = await feed.take()
    assert len(piece) < PIECE_BYTES + 1_000
    for _ in range(BUFFER):
        house.tell("q")

    assert feed.end_reason is None
    assert parse(piece)[-1].id != "e-1000"
    house.tell("q")
    assert feed.end_reason == "slow"


async def test_a_large_batch_is_no_reason_to_drop_anybody():
    house = House()
    feed = house.open()
    await taken(feed)
    house.tell("q")
    house.tell(*["q"] * 1_000)

    assert await taken(feed) == [*range(1, 1_002)]


async def test_only_what_may_be_read_is_told_now_and_from_the_history():
    house = House(hidden=["secret"])
    house.tell("open", "secret", "open")
    feed = house.open(after=0)
    house.tell("secret", "open")

    assert await taken(feed) == [1, 3, 5]


async def test_permissions_are_asked_once_for_each_queue_until_the_identity_is_found_out_again():
    house = House()
    feed = house.open()
    for _ in range(3):
        house.tell("a", "b")
        await taken(feed)
    assert house.rights.asked == [("anybody", "read", "a"), ("anybody", "read", "b")]

    house.rights.hidden.add("a")
    feed.admit(Identity(subject="somebody"))
    house.tell("a", "b")

    assert await taken(feed) == [8]
    assert house.rights.asked[2:] == [("somebody", "read", "a"), ("somebody", "read", "b")]


async def test_what_waits_is_not_told_to_one_who_may_not_read_it_any_more():
    house = House()
    feed = house.open()
    await taken(feed)
    house.tell("q")
    house.rights.hidden.add("q")
    feed.admit(ANYBODY)

    assert await feed.take() == b""


async def test_no_more_permissions_are_remembered_than_there_may_be(monkeypatch):
    monkeypatch.setattr("broker_sse.feed.MAX_RIGHTS", 10)
    house = House()
    feed = house.open()
    house.tell(*(f"q{number}" for number in range(100)))

    assert len(await taken(feed)) == 100
    assert len(feed._rights) <= 10


@pytest.mark.parametrize(
    ("hidden", "asked", "is_told"),
    [
        ([], "*", True),
        (["a"], "*", True),
        (["b"], "*", True),
        (["a", "b"], "*", False),
        (["a"], "a", False),
        (["b"], "a", True),
        (["b"], "b", False),
        (["a"], "b", True),
    ],
)
@pytest.mark.parametrize("after", [None, 0])
async def test_a_dead_letter_is_told_to_who_asked_for_a_queue_that_it_may_read(
    hidden, asked, is_told, after
):
    house = House(hidden=hidden)
    feed = house.open(after=after, wants=Filter(names=frozenset(), globs=frozenset([asked])))
    house.tell("a", kind="message.dead_lettered", moved_to="b")

    assert await taken(feed) == ([1] if is_told else [])


async def test_who_loses_what_the_stream_demands_loses_the_stream():
    house = House()
    feed = house.open(demands=[("read", "q")])
    feed.admit(ANYBODY)
    house.rights.hidden.add("q")

    with pytest.raises(Forbidden):
        feed.admit(ANYBODY)


async def test_a_gap_is_told_where_it_is():
    house = House()
    house.tell("q")
    behind, feed = house.open(after=0), house.open()
    house.tell("q")
    house.hub.announce_gap("redis")
    house.tell("q")

    assert await taken(feed) == [2, "gap", 3]
    assert await taken(behind) == [1, 2, "gap", 3]


async def test_gaps_fill_the_buffer_too():
    house = House()
    feed = house.open()
    for _ in range(BUFFER + 1):
        house.hub.announce_gap("redis")

    assert feed.end_reason == "slow"


async def test_who_asked_for_little_keeps_an_id_to_come_back_to():
    house = House()
    mine = Filter(names=frozenset(["mine"]), globs=frozenset())
    feed = house.open(wants=mine)
    await taken(feed)
    house.tell("mine")
    parser = Parser()
    house.tell(*["other"] * 9_999)
    parser.feed(await feed.take())
    assert parser.last_id == "e-1"
    house.tell(*["other"] * 5_000)
    parser.feed(await feed.take())

    assert parser.last_id == "e-15000"
    assert [event.id for event in parser.events] == ["e-1"]
    assert not house.hub.history.after(EventId("e", 15_000)).gap
    assert await feed.take() == b""


@pytest.mark.parametrize(
    ("reason", "name"),
    [("auth-expired", "auth-expired"), ("slow", "dropped")]
    + [(reason, "end") for reason in ("rotated", "shutdown", "unavailable", "failed")],
)
async def test_a_client_is_told_why_its_stream_ends(reason, name):
    feed = House().open()
    feed.end(reason)

    [told] = parse(await feed.next())
    assert (told.name, told.json) == (name, {"reason": reason})


async def test_who_is_gone_is_told_nothing():
    house = House()
    feed = house.open()
    await feed.close()
    house.tell("q")
    house.hub.announce_gap("redis")

    assert await taken(feed) == []
