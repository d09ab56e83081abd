"""Answers that go on: who gets one, and what ends it though its client would stay."""

from __future__ import annotations

import asyncio

import pytest

from broker.testing.contract import needs
from broker.testing.exchange import Exchange
from broker.testing.transport.bench import TransportBench
from broker.testing.transport.each import permitted_streaming, streaming, whole
from broker.testing.transport.leaving import hot_or_not
from broker.testing.transport.probe import Probe
from broker.testing.transport.stage import TOKEN, Stage

RIGHTS_SECONDS = 5
"""Within how long a client loses a stream to which it has no right any more."""

SILENT_SECONDS = 15
"""For how long a stream may say nothing."""


class Streaming:
    """Tests of streams; those of `Stream` keep them by themselves."""

    @needs("routes")
    @hot_or_not
    @streaming
    async def test_a_stream_goes_on(self, bench: TransportBench, probe: Probe, hot: bool) -> None:
        async with bench.stage(probe, hot=hot) as stage, stage.begun() as exchange:
            reading = asyncio.ensure_future(exchange.rest())
            await stage.advance(RIGHTS_SECONDS)
            assert not reading.done(), "it ended by itself"
            stage.broker.drain()
            await reading

    @needs("routes")
    @whole
    async def test_what_is_no_stream_has_an_end(self, bench: TransportBench, probe: Probe) -> None:
        async with bench.stage(probe) as stage, stage.begun() as exchange:
            await _ends(stage, exchange, 0)

    @needs("routes")
    @hot_or_not
    @streaming
    async def test_a_stream_ends_when_the_broker_drains(
        self, bench: TransportBench, probe: Probe, hot: bool
    ) -> None:
        async with bench.stage(probe, hot=hot) as stage, stage.begun() as exchange:
            stage.broker.drain()
            await _ends(stage, exchange, stage.shutdown_seconds)

    @needs("routes")
    @streaming
    async def test_no_stream_begins_while_the_broker_drains(
        self, bench: TransportBench, probe: Probe
    ) -> None:
        async with bench.stage(probe) as stage:
            stage.broker.drain()
            answer = await stage.ask()
            assert answer.status == 503, answer

    @needs("routes")
    @streaming
    async def test_a_stream_ends_with_the_credentials_that_opened_it(
        self, bench: TransportBench, probe: Probe
    ) -> None:
        async with bench.stage(probe) as stage, stage.begun() as exchange:
            del stage.doubles.authenticator.subjects[TOKEN]
            await _ends(stage, exchange, RIGHTS_SECONDS)

    @needs("routes")
    @permitted_streaming
    async def test_a_stream_ends_with_the_permission_that_it_needs(
        self, bench: TransportBench, probe: Probe
    ) -> None:
        async with bench.stage(probe) as stage, stage.begun() as exchange:
            stage.permit(None)
            await _ends(stage, exchange, RIGHTS_SECONDS)

    @needs("routes")
    @streaming
    async def test_a_stream_takes_a_place_and_gives_it_back(
        self, bench: TransportBench, probe: Probe
    ) -> None:
        async with bench.stage(probe, broker={"max_streams_per_identity": 1}) as stage:
            async with stage.begun():
                answer = await stage.ask()
                assert answer.status == 429, answer
            answer = await stage.ask()
            assert answer.status == probe.status, answer

    @needs("routes")
    @streaming
    async def test_an_idle_stream_says_something(self, bench: TransportBench, probe: Probe) -> None:
        async with bench.stage(probe) as stage, stage.begun() as exchange:
            said = bytearray()
            reading = asyncio.ensure_future(_read(exchange, said))
            await stage.advance(1)
            for _ in range(2):
                before = len(said)
                await stage.advance(SILENT_SECONDS)
                assert len(said) > before, f"nothing came for {SILENT_SECONDS} s"
            stage.broker.drain()
            await reading


async def _read(exchange: Exchange, said: bytearray) -> None:
    async for piece in exchange:
        said += piece


async def _ends(stage: Stage, exchange: Exchange, seconds: float) -> None:
    """Fail unless the answer ends within so many seconds of the broker's time."""
    reading = asyncio.ensure_future(exchange.rest())
    await stage.advance(int(seconds))
    await asyncio.wait((reading,), timeout=1)
    if not reading.done():
        reading.cancel()
        await asyncio.wait((reading,))
        pytest.fail(f"{stage.probe.request}: it goes on after {seconds:g} s")
    reading.result()
