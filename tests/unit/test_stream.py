"""What a stream is asked for, and in which order."""

import asyncio
from typing import get_args

import pytest

from broker import EndReason, Identity, Stream, end_event, retry_ms

ANA = Identity(subject="ana")


class Letters(Stream):
    """Sends what it is told to, and says why it ends."""

    def __init__(self):
        super().__init__(ANA)
        self.pieces = []
        self.asked = 0

    async def take(self):
        self.asked += 1
        return self.pieces.pop(0) if self.pieces else b""

    def say(self, piece):
        self.pieces.append(piece)
        self.wake()

    def farewell(self, reason):
        return f"bye: {reason}".encode()


async def waiting(stream):
    """Ask for the next piece of a stream that has none."""
    asked = asyncio.ensure_future(stream.next())
    await asyncio.sleep(0)
    assert not asked.done()
    return asked


async def test_pieces_come_in_order():
    stream = Letters()
    stream.say(b"a")
    stream.say(b"b")

    assert [await stream.next(), await stream.next()] == [b"a", b"b"]


async def test_who_waits_for_a_piece_gets_it_when_it_comes():
    stream = Letters()
    asked = await waiting(stream)
    stream.say(b"a")

    assert await asked == b"a"


async def test_a_wake_up_with_nothing_to_take_is_no_piece():
    stream = Letters()
    asked = await waiting(stream)
    stream.wake()
    await asyncio.sleep(0)
    assert not asked.done()
    stream.say(b"a")

    assert await asked == b"a"


async def test_what_comes_while_nothing_is_being_found_is_not_missed():
    stream = Letters()

    async def take():
        if not stream.pieces:
            stream.say(b"late")
            return b""
        return stream.pieces.pop()

    stream.take = take

    assert await stream.next() == b"late"


async def test_an_idle_stream_beats():
    stream = Letters()
    asked = await waiting(stream)
    stream.beat()

    assert await asked == b": hb\n\n"
    await waiting(stream)


async def test_a_stream_with_something_to_send_does_not_beat():
    stream = Letters()
    stream.beat()
    stream.say(b"a")

    assert await stream.next() == b"a"
    await waiting(stream)


@pytest.mark.parametrize("reason", ["shutdown", "auth-expired"])
async def test_a_stream_that_ends_says_why_and_nothing_else_then(reason):
    stream = Letters()
    stream.say(b"too late")
    stream.end(reason)
    stream.end("slow")
    stream.beat()

    assert await stream.next() == f"bye: {reason}".encode()
    assert not stream.was_taken
    assert [await stream.next(), await stream.next()] == [b"", b""]
    assert stream.was_taken
    assert stream.asked == 0


async def test_who_waits_hears_of_the_end():
    stream = Letters()
    asked = await waiting(stream)
    stream.end("rotated")

    assert await asked == b"bye: rotated"


async def test_what_is_found_when_the_stream_has_ended_is_not_sent():
    stream = Letters()

    async def take():
        stream.end("auth-expired")
        return b"secret"

    stream.take = take

    assert [await stream.next(), await stream.next()] == [b"bye: auth-expired", b""]


async def test_a_stream_without_a_farewell_just_ends():
    class Silent(Letters):
        farewell = Stream.farewell

    stream = Silent()
    stream.end("rotated")

    assert await stream.next() == b""
    assert stream.was_taken


async def test_a_stream_goes_on_for_the_identity_as_it_is_now():
    stream = Letters()
    now = Identity(subject="ana", scopes=frozenset({"read:q"}))
    stream.admit(now)

    assert stream.identity is now


async def test_one_that_always_has_more_lets_others_have_their_turn():
    stream = Letters()
    stream.pieces = [b"a"] * 1000
    turns = []

    async def other():
        while True:
            turns.append(len(stream.pieces))
            await asyncio.sleep(0)

    task = asyncio.ensure_future(other())
    while stream.pieces:
        await stream.next()
    task.cancel()

    assert len(turns) > 900


def test_clients_are_told_of_ends_by_few_names():
    assert {reason: end_event(reason) for reason in get_args(EndReason)} == {
        "auth-expired": "auth-expired",
        "slow": "dropped",
        **dict.fromkeys(["rotated", "shutdown", "unavailable", "deleted", "failed"], "end"),
    }


def test_who_is_sent_away_comes_again_after_3_s_and_a_fifth_more_or_less():
    times = {retry_ms() for _ in range(1_000)}

    assert min(times) >= 2_400
    assert max(times) <= 3_600
    assert len(times) > 100
