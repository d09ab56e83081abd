"""What a subscription sends to a client of graphql-sse."""

import asyncio
from typing import get_args

import pytest

from broker import EndReason, Forbidden, Identity
from broker_graphql.event_stream import COMPLETE, write_next
from graphs import graph

EVENTS = {"query": "subscription { events { queue } }"}
HEARTBEAT = b": hb\n\n"


async def open_stream(one):
    response = await one.post(EVENTS, accept="text/event-stream")
    assert await response.stream.next() == HEARTBEAT
    return response.stream


def test_results_and_their_end_are_events():
    assert write_next({"data": None}) == b'event: next\ndata: {"data":null}\n\n'
    assert COMPLETE == b"event: complete\ndata: \n\n"


async def test_each_event_is_a_result(tmp_path):
    async with graph(tmp_path) as one:
        stream = await open_stream(one)
        await one.make("a", "b")

        for queue in ("a", "b"):
            result = {"data": {"events": {"queue": queue}}}
            assert await stream.next() == write_next(result)


async def test_who_waits_is_told_as_it_happens(tmp_path):
    async with graph(tmp_path) as one:
        stream = await open_stream(one)
        waiting = asyncio.ensure_future(stream.next())
        await asyncio.sleep(0)
        assert not waiting.done()
        await one.make("a")

        assert await waiting == write_next({"data": {"events": {"queue": "a"}}})


@pytest.mark.parametrize("reason", get_args(EndReason))
async def test_the_end_is_told_in_a_comment_and_is_not_the_end_of_the_operation(tmp_path, reason):
    async with graph(tmp_path) as one:
        stream = await open_stream(one)
        await one.make("a")
        stream.end(reason)

        assert await stream.next() == b": end " + reason.encode() + b"\n\n"
        assert await stream.next() == b""


async def test_who_takes_too_little_is_told_so_after_what_it_took(tmp_path):
    async with graph(tmp_path, buffer=2) as one:
        await one.make("a")
        stream = await open_stream(one)
        await one.publish("a", "x")
        await one.publish("a", "x")
        assert stream.end_reason is None
        await one.publish("a", "x")

        assert await stream.next() == b": end slow\n\n"
        assert stream.end_reason == "slow"


async def test_it_goes_on_for_who_may_read_and_for_nobody_else(tmp_path):
    async with graph(tmp_path) as one:
        stream = await open_stream(one)
        reader = Identity(subject="somebody", scopes=frozenset({"read:mine"}))
        stream.admit(reader)
        assert stream.identity is reader
        await one.make("yours", "mine")
        assert b"mine" in await stream.next()
        with pytest.raises(Forbidden):
            stream.admit(Identity(subject="somebody", scopes=frozenset({"consume:mine"})))


async def test_who_left_is_told_nothing(tmp_path):
    async with graph(tmp_path) as one:
        stream = await open_stream(one)
        audience = one.transport.executor.events.audience
        assert len(audience) == 1
        await stream.close()

        assert len(audience) == 0
