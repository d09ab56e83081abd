"""Streams with what is in messages: whole, in bounds, and only for who may consume it."""

import json

import pytest
from event_stream import parse
from house import ADMIN, House

from broker import (
    Allowance,
    Budget,
    Identity,
    QueuePolicy,
    QueueSpec,
    RateLimiter,
    Settlement,
    read_receipt,
)
from broker_sse.feed import PIECE_BYTES
from broker_sse.filters import Filter
from broker_sse.full_feed import MAX_UNSENT_BYTES, FullFeed
from broker_sse.hub import Hub
from broker_sse.log import LocalLog

CONSUMER = Identity(subject="c", scopes=frozenset({"read:*", "consume:q"}))


class Streams:
    """Opens streams of an engine's events."""

    def __init__(self, house):
        self.house = house
        self.hub = Hub(history=10_000, buffer=256)
        self.memory = Budget(MAX_UNSENT_BYTES, "")
        house.seen.notify = LocalLog(self.hub).notify

    def open(self, identity=ADMIN, *, start=None, **options):
        given = {"wants": Filter(kinds=frozenset({"message.published"})), **options}
        return FullFeed(
            self.house.broker,
            self.hub,
            identity,
            recheck=None,
            start=start or self.hub.history.new(),
            opening=b"",
            write=lambda entry: entry.as_event,
            memory=self.memory,
            **given,
        )


async def told(feed):
    return [event.json for event in parse(b"".join([p async for p in pieces(feed)]))]


async def pieces(feed):
    while piece := await feed.take():
        yield piece


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", {"content": ""}),
        (b"a\r\nb\rc\nd", {"content": "a\r\nb\rc\nd"}),
        (b"\r\n\r\ndata: x\nid: 1\n\n", {"content": "\r\n\r\ndata: x\nid: 1\n\n"}),
        (b"\0\x1b", {"content": "\0\x1b"}),
        ("\u2028\u2029\x85\ufeff".encode(), {"content": "\u2028\u2029\x85\ufeff"}),
        (b"\xff\r\n\0", {"content_base64": "/w0KAA=="}),
        (b"\xed\xa0\x80", {"content_base64": "7aCA"}),  # half a pair, which is no UTF-8
    ],
)
async def test_every_body_arrives_whole(body, expected):
    async with House() as house:
        feed = Streams(house).open()
        [number] = await house.publish(body, content_type="a/b", headers={"k": "v"})

        assert await told(feed) == [
            {
                "event": "message.published",
                "queue": "q",
                "message_id": number,
                "timestamp": "2023-11-14T22:13:20.000Z",
                "state": "pending",
                "content_type": "a/b",
                "headers": {"k": "v"},
                **expected,
            }
        ]


async def test_what_is_gone_is_null():
    async with House() as house:
        feed = Streams(house).open()
        [number] = await house.publish(b"x")
        await house.broker.delete_message(ADMIN, number)
        [event] = await told(feed)

        assert event["content"] is None
        assert "headers" not in event


async def test_only_who_may_consume_a_queue_is_told_what_is_in_its_messages():
    async with House() as house:
        await house.broker.queues.create(ADMIN, QueueSpec("other"))
        feed = Streams(house).open(CONSUMER)
        await house.publish(b"mine")
        await house.publish(b"theirs", queue="other")

        assert [(e["queue"], e.get("content", "none")) for e in await told(feed)] == [
            ("q", "mine"),
            ("other", "none"),
        ]


async def test_who_may_consume_no_more_is_told_no_more_of_it():
    async with House() as house:
        feed = Streams(house).open(CONSUMER)
        await house.publish(b"x")
        feed.admit(Identity(subject="c", scopes=frozenset({"read:*"})))

        assert ["content" in event for event in await told(feed)] == [False]


async def test_what_moved_to_a_queue_of_others_is_not_told():
    async with House() as house:
        await house.broker.queues.create(ADMIN, QueueSpec("dead"))
        policy = QueuePolicy(dead_letter_queue="dead", max_deliveries=1)
        await house.broker.queues.put(ADMIN, QueueSpec("q", policy))
        feed = Streams(house).open(CONSUMER)
        await house.publish(b"x")
        [delivery] = await house.lease()
        receipt = read_receipt(delivery.receipt)
        await house.broker.settle_one(ADMIN, Settlement(receipt=receipt, kind="reject"))

        assert [event["content"] for event in await told(feed)] == [None]


async def test_a_queue_has_no_body():
    async with House() as house:
        feed = Streams(house).open(wants=Filter(kinds=frozenset({"queue.paused"})))
        await house.broker.queues.pause(ADMIN, "q")

        assert "content" not in (await told(feed))[0]


async def test_large_bodies_come_piece_by_piece_in_order():
    async with House() as house:
        feed = Streams(house).open()
        await feed.take()
        sizes = [10, 40_000, 70_000, 10, 1_000_000, *[100] * 300, 200_000, 30_000, 30_000, 30_000]
        ids = await house.publish(*(b"x" * size for size in sizes))
        received = [piece async for piece in pieces(feed)]
        events = [json.loads(event.data) for piece in received for event in parse(piece)]

        assert [event["message_id"] for event in events] == ids
        assert [len(event["content"]) for event in events] == sizes
        for piece in received:
            last = parse(piece)[-1]
            assert len(piece) - len(last.data) < PIECE_BYTES + 100


async def test_a_page_of_the_storage_that_ends_early_loses_nothing():
    """What is told first is about messages that only the next page has."""
    async with House() as house:
        policy = QueuePolicy(max_message_bytes=6 * 1024 * 1024)
        await house.broker.queues.put(ADMIN, QueueSpec("q", policy))
        streams = Streams(house)
        ids = [number for _ in range(5) for number in await house.publish(b"x" * 5_000_000)]
        feed = streams.open()
        streams.hub.tell([*reversed(streams.hub.history.read(0, 5))])
        events = await told(feed)

        assert [event["message_id"] for event in events] == [*reversed(ids)]
        assert {len(event["content"] or "") for event in events} == {5_000_000}


async def test_of_large_messages_that_nobody_takes_few_are_in_memory():
    async with House() as house:
        streams = Streams(house)
        streams.memory = Budget(2_400_000, "")  # half of it for one identity
        slow, patient = streams.open(), streams.open()
        stranger = streams.open(Identity(subject="other", scopes=frozenset({"admin"})))
        for feed in (slow, patient, stranger):
            await feed.take()
        await house.publish(b"x" * 300_000, b"y" * 300_000)

        assert b"xxx" in await slow.take()
        assert await patient.take() == b""
        assert b"xxx" in await stranger.take(), "it has a share of its own"

        assert b"yyy" in await slow.take(), "who takes what it got goes on"
        assert await slow.take() == b""
        waiting = patient.next()
        house.clock.advance(1)
        assert b"xxx" in await waiting


async def test_who_leaves_gives_its_memory_back():
    async with House() as house:
        streams = Streams(house)
        streams.memory = Budget(4_000_000, "")
        slow, patient = streams.open(), streams.open()
        await house.publish(b"x" * 900_000)
        await slow.take()
        await slow.take()
        await slow.close()

        assert b"xxx" in b"".join([piece async for piece in pieces(patient)])


class Spent(RateLimiter):
    """Has an allowance only when told so, and tells what was asked for."""

    def __init__(self):
        self.asked = []
        self.retry_after = None

    async def spend(self, spendings):
        self.asked += [(spending.activity, spending.cost) for spending in spendings]
        return Allowance(allowed=self.retry_after is None, retry_after=self.retry_after)


async def test_to_look_at_messages_is_paid_for_once_a_piece():
    limiter = Spent()
    async with House(limiter=limiter) as house:
        feed = Streams(house).open()
        await house.publish(b"a", b"b", b"c")
        limiter.asked.clear()
        await told(feed)

        assert limiter.asked == [("read", 1)]


async def test_who_has_no_allowance_waits_for_it():
    limiter = Spent()
    async with House(limiter=limiter) as house:
        feed = Streams(house).open()
        await feed.take()
        await house.publish(b"a")
        limiter.retry_after = 1.5
        limiter.asked.clear()
        assert await feed.take() == b""
        assert await feed.take() == b""
        assert limiter.asked == [("read", 1)]

        limiter.retry_after = None
        waiting = feed.next()
        house.clock.advance(1.5)
        assert [event.json["content"] for event in parse(await waiting)] == ["a"]


async def test_who_leaves_waits_no_more():
    limiter = Spent()
    async with House(limiter=limiter) as house:
        feed = Streams(house).open()
        await feed.take()
        await house.publish(b"a")
        limiter.retry_after = 1.5
        woken = []
        feed.wake = lambda: woken.append(True)
        await feed.take()
        await feed.close()
        house.clock.advance(1.5)

        assert woken == []
