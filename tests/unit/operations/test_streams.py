"""How many streams there are, what keeps them alive, and what ends them."""

import asyncio
import logging

import pytest
from misbehaving import odd_errors

from broker import (
    Forbidden,
    Identity,
    InvalidToken,
    QueueFull,
    QueueNotFound,
    Stream,
    TooManyStreams,
    Unauthenticated,
    Unavailable,
)
from broker.operations.places import stream_places
from broker.operations import streams as module
from broker.operations.streams import Streams
from broker.operations.tasks import Tasks
from broker.isolation import Failures
from broker.testing import ManualClock

ANA = Identity(subject="ana")
BOB = Identity(subject="bob")


def stranger(address):
    return Identity(subject="anonymous", peer=address, is_anonymous=True)


class Quiet(Stream):
    """Has nothing to send."""

    def __init__(self, identity=ANA, **options):
        super().__init__(identity, **options)
        self.closed = 0

    async def take(self):
        return b""

    def farewell(self, reason):
        return reason.encode()

    async def close(self):
        self.closed += 1


class House:
    def __init__(self, most=1000, most_each=30):
        self.clock = ManualClock()
        self.tasks = Tasks()
        self.failures = Failures(self.clock)
        self.streams = Streams(
            self.clock, stream_places(most, most_each), self.tasks, self.failures
        )

    def open(self, identity=ANA, *, stream=None, **options):
        stream = stream or Quiet(identity, **options)
        self.streams.join(stream)
        return stream

    async def pass_time(self, seconds):
        """Let time pass tick by tick."""
        for _ in range(round(seconds)):
            await settle()
            self.clock.advance(1)
        await settle()

    async def next(self, stream):
        return await self.streams.next(stream)


async def settle():
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.fixture
def no_spread(monkeypatch):
    monkeypatch.setattr(module, "SPREAD", 0)


async def test_an_identity_has_its_share_of_streams():
    house = House(most_each=2)
    house.open(ANA)
    house.open(ANA)
    with pytest.raises(TooManyStreams, match="2 of your streams .*max_streams_per_identity"):
        house.open(ANA)
    house.open(BOB)

    assert len(house.streams) == 3


async def test_there_are_no_more_streams_than_there_may_be():
    house = House(most=2)
    house.open(ANA)
    house.open(BOB)
    with pytest.raises(TooManyStreams, match="2 streams are open, .* broker.max_streams ") as told:
        house.open(Identity(subject="eve"))

    assert told.value.retry_after > 0
    assert len(house.streams) == 2


async def test_who_is_anonymous_counts_by_address():
    house = House(most_each=1)
    house.open(stranger("203.0.113.7"))
    house.open(stranger("203.0.113.8"))
    with pytest.raises(TooManyStreams):
        house.open(stranger("203.0.113.7"))


async def test_one_who_leaves_makes_room_and_is_closed_once():
    house = House(most_each=1)
    stream = house.open()
    for _ in range(2):
        await house.streams.leave(stream)

    assert (stream.closed, len(house.streams)) == (1, 0)
    house.open()


async def test_one_that_could_not_join_is_closed_and_gives_back_no_place_of_others():
    house = House(most_each=1)
    house.open()
    refused = Quiet()
    with pytest.raises(TooManyStreams):
        house.streams.join(refused)
    await house.streams.leave(refused)

    assert (refused.closed, len(house.streams)) == (1, 1)
    with pytest.raises(TooManyStreams):
        house.open()


async def test_closing_is_finished_whoever_is_cancelled_meanwhile():
    house = House()
    going_on = asyncio.Event()

    class Slow(Quiet):
        async def close(self):
            await going_on.wait()
            self.closed += 1

    stream = house.open(stream=Slow())
    leaving = asyncio.ensure_future(house.streams.leave(stream))
    await settle()
    leaving.cancel()
    await asyncio.wait([leaving])
    going_on.set()
    await house.tasks.close()

    assert (stream.closed, len(house.streams)) == (1, 0)


async def test_one_that_does_not_close_hurts_nobody(caplog):
    class Broken(Quiet):
        async def close(self):
            raise ZeroDivisionError

    house = House()
    await house.streams.leave(house.open(stream=Broken()))

    assert caplog.messages == ['plugin "Broken" failed to close a stream']
    assert len(house.streams) == 0


@pytest.mark.parametrize(
    ("error", "end", "logged"),
    [
        (Unavailable("away"), b"unavailable", []),
        (Forbidden("read:q"), b"auth-expired", []),
        (Unauthenticated(), b"auth-expired", []),
        (QueueNotFound("q"), b"failed", []),
        (QueueFull("q", "full"), b"failed", []),
        (ZeroDivisionError(), b"failed", ['plugin "Failing" failed to go on with a stream']),
    ],
)
async def test_one_that_fails_ends_with_a_reason(error, end, logged, caplog):
    class Failing(Quiet):
        async def take(self):
            raise error

    house = House()
    stream = house.open(stream=Failing())

    assert [await house.next(stream), await house.next(stream)] == [end, b""]
    assert caplog.messages == logged


async def test_one_whose_farewell_fails_ends_without():
    class Speechless(Quiet):
        async def take(self):
            raise ZeroDivisionError

        def farewell(self, reason):
            raise KeyError(reason)

    house = House()

    assert await house.next(house.open(stream=Speechless())) == b""
    assert house.failures == {("Speechless", "go on with a stream"): 2}


async def test_an_idle_one_beats_within_15_seconds_and_again():
    house = House()
    stream = house.open()
    beats = [house.clock.now()]

    async def read():
        while await house.next(stream) == b": hb\n\n":
            beats.append(house.clock.now())

    reading = asyncio.ensure_future(read())
    async with house.streams.kept():
        await house.pass_time(150)
        stream.end("rotated")
        await reading

    pauses = {later - sooner for sooner, later in zip(beats, beats[1:], strict=False)}
    assert len(beats) > 10
    assert 10_000 < min(pauses) <= max(pauses) <= 15_000


async def test_one_that_sends_does_not_beat():
    class Ticking(Quiet):
        async def take(self):
            return b"tick"

    house = House()
    stream = house.open(stream=Ticking())
    beats = []
    stream.beat = lambda: beats.append(True)
    async with house.streams.kept():
        for _ in range(20):
            await house.next(stream)
            await house.pass_time(10)

    assert beats == []


async def test_a_lifetime_is_600_s_and_a_fifth_more_or_less(monkeypatch):
    house = House()
    monkeypatch.setattr(module.random, "uniform", lambda low, high: low)
    short = house.open()
    monkeypatch.setattr(module.random, "uniform", lambda low, high: high)
    long = house.open()
    async with house.streams.kept():
        await house.pass_time(479)
        assert short.end_reason is None
        await house.pass_time(1)
        assert (short.end_reason, long.end_reason) == ("rotated", None)
        await house.pass_time(239)
        assert long.end_reason is None
        await house.pass_time(1)
        assert long.end_reason == "rotated"


async def test_those_who_came_together_do_not_all_end_together():
    house = House()
    streams = [house.open() for _ in range(30)]
    async with house.streams.kept():
        await house.pass_time(600)

    ended = sum(stream.end_reason == "rotated" for stream in streams)
    assert 0 < ended < 30


async def test_one_whose_identity_expires_ends_with_it(no_spread):
    house = House()
    expires_at = house.clock.now() + 20_000
    stream = house.open(Identity(subject="ana", expires_at=expires_at))
    async with house.streams.kept():
        await house.pass_time(19)
        assert stream.end_reason is None
        await house.pass_time(1)

    assert stream.end_reason == "auth-expired"


async def test_one_whose_identity_has_expired_is_not_begun():
    house = House()

    with pytest.raises(InvalidToken):
        house.open(Identity(subject="ana", expires_at=house.clock.now()))
    assert len(house.streams) == 0
    house.open(Identity(subject="ana", expires_at=house.clock.now() + 1))


async def test_it_is_found_out_again_and_again_who_asks():
    house = House()
    asked = []

    async def recheck():
        asked.append(house.clock.now())
        return Identity(subject="ana", scopes=frozenset({f"read:{len(asked)}"}))

    stream = house.open(recheck=recheck)
    async with house.streams.kept():
        await house.pass_time(60)

    assert len(asked) >= 15
    assert max(b - a for a, b in zip(asked, asked[1:], strict=False)) <= 4_000
    assert stream.end_reason is None
    assert stream.identity.scopes == {f"read:{len(asked)}"}


async def test_not_all_who_came_at_one_time_are_asked_for_at_one_time():
    house = House()
    asked = []

    async def recheck():
        asked.append(house.clock.now())
        return ANA

    for _ in range(30):
        house.open(recheck=recheck)
    async with house.streams.kept():
        await house.pass_time(2)

    assert len(asked) == 30
    assert len(set(asked)) > 1


@pytest.mark.parametrize(
    ("error", "end", "logged"),
    [
        (Unauthenticated(), "auth-expired", []),
        (Forbidden("read:q"), "auth-expired", []),
        (QueueNotFound("q"), "auth-expired", []),
        (Unavailable("away"), "unavailable", []),
        (ZeroDivisionError(), "unavailable", ['plugin "Quiet" failed to go on with a stream']),
    ],
)
async def test_who_lost_the_right_loses_the_stream_within_5_seconds(error, end, logged, caplog):
    house = House()
    lost = False

    async def recheck():
        if lost:
            raise error
        return ANA

    stream = house.open(recheck=recheck)
    other = house.open(BOB)
    async with house.streams.kept():
        await house.pass_time(31)
        assert stream.end_reason is None
        lost = True
        await house.pass_time(5)
        assert stream.end_reason == end
        await house.streams.leave(stream)

    assert other.end_reason is None
    assert caplog.messages == logged


async def test_a_stream_that_is_not_for_the_identity_as_it_is_now_ends():
    class Choosy(Quiet):
        def admit(self, identity):
            raise Forbidden("read:q")

    async def recheck():
        return BOB

    house = House()
    stream = house.open(stream=Choosy(recheck=recheck))
    async with house.streams.kept():
        await house.pass_time(5)

    assert (stream.end_reason, stream.identity) == ("auth-expired", ANA)


async def test_who_cannot_be_found_out_in_time_gets_nothing_more_and_others_do():
    house = House()
    cancelled = []

    async def never():
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.append(True)

    stream, other = house.open(recheck=never), house.open()
    waiting = asyncio.ensure_future(house.next(other))
    async with house.streams.kept():
        await house.pass_time(5)
        assert stream.end_reason == "unavailable"
        await house.pass_time(10)
        assert await waiting == b": hb\n\n"
        await house.streams.leave(stream)
        await settle()

    assert cancelled == [True]


async def test_one_tick_is_not_too_long_to_find_out_who_asks():
    house = House()
    begun, known = asyncio.Event(), asyncio.Event()

    async def recheck():
        begun.set()
        await known.wait()
        return ANA

    stream = house.open(recheck=recheck)
    async with house.streams.kept():
        while not begun.is_set():
            await house.pass_time(1)
        await house.pass_time(1)
        known.set()
        await house.pass_time(3)

    assert stream.end_reason is None


async def test_there_is_no_tick_while_there_is_no_stream():
    house = House()
    async with house.streams.kept():
        for _ in range(2):
            stream = house.open()
            await house.pass_time(1)
            await house.streams.leave(stream)
            await house.pass_time(2)
            assert house.clock._timers == []


async def test_all_end_when_the_broker_drains_and_no_more_are_taken():
    house = House()
    streams = [house.open(), house.open(BOB)]
    waiting = [asyncio.ensure_future(house.next(stream)) for stream in streams]
    await settle()
    house.streams.close()

    assert await asyncio.gather(*waiting) == [b"shutdown"] * 2
    with pytest.raises(Unavailable, match="shutting down"):
        house.open()


async def test_a_thousand_streams_cost_little(caplog):
    """No task and no timer for each: a tick goes over all of them."""
    caplog.set_level(logging.ERROR)
    house = House(most_each=1000)
    for _ in range(1000):
        house.open()
    async with house.streams.kept():
        await house.pass_time(1)
        assert len(asyncio.all_tasks()) <= 2
        assert len(house.clock._timers) == 1


class Odd(Quiet):
    """Does what it is told to at every turn."""

    def __init__(self, do, **options):
        super().__init__(**options)
        self.do = do

    async def take(self):
        return self.do()

    def beat(self):
        self.do()

    def end(self, reason):
        super().end(reason)
        self.do()

    async def close(self):
        self.do()


def raising(error):
    def do():
        raise error

    return do


@pytest.mark.parametrize(**odd_errors)
async def test_whatever_a_stream_raises_ends_it_and_no_other(error):
    house = House()
    async with house.streams.kept():
        house.streams.join(odd := Odd(raising(error)), "acme")
        other = house.open()
        await house.pass_time(20)
        assert house.failures["acme", "keep a stream"] > 0
        waiting = asyncio.ensure_future(house.next(other))
        await house.pass_time(1)
        assert waiting.done()  # its heartbeat
        house.streams.close()
        assert (odd.end_reason, other.end_reason) == ("shutdown", "shutdown")
        assert house.failures["acme", "end a stream"] == 1
        await house.streams.leave(odd)
        assert house.failures["acme", "close a stream"] == 1
        assert len(house.streams) == 1


@pytest.mark.parametrize(**odd_errors)
async def test_whatever_taking_raises_is_the_end_of_a_stream(error):
    class Failing(Quiet):
        async def take(self):
            raise error

    house = House()
    assert await house.next(house.open(stream=Failing())) == b"failed"
    assert house.failures == {("Failing", "go on with a stream"): 1}


@pytest.mark.parametrize(**odd_errors)
async def test_whatever_finding_out_who_asks_raises_is_the_end_of_a_stream(error):
    async def recheck():
        raise error

    house = House()
    async with house.streams.kept():
        stream = house.open(recheck=recheck)
        await house.pass_time(4)

    assert stream.end_reason == "unavailable"


@pytest.mark.parametrize("piece", ["text", 7, [b"a"]], ids=repr)
async def test_what_is_no_piece_is_the_end_of_a_stream(piece, caplog):
    house = House()
    stream = Odd(lambda: piece)
    house.streams.join(stream, "acme")

    assert await house.next(stream) == b"failed"
    assert caplog.messages == ['plugin "acme" failed to go on with a stream']


async def test_one_that_hangs_as_it_closes_is_left(monkeypatch):
    class Hanging(Quiet):
        async def close(self):
            await asyncio.Event().wait()

    monkeypatch.setattr(module, "CLOSE_SECONDS", 0)
    house = House()
    await house.streams.leave(house.open(stream=Hanging()))

    assert house.failures == {("Hanging", "close a stream"): 1}


async def test_who_goes_while_a_stream_has_nothing_is_no_failure_of_it():
    house = House()
    waiting = asyncio.ensure_future(house.next(house.open()))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])

    assert waiting.cancelled()
    assert house.failures == {}
