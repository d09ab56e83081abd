"""A transport's life: opened, closed, beside another one, with a storage that it can use."""

from __future__ import annotations

import asyncio

import pytest

from broker.errors import PluginError
from broker.storage import Capability
from broker.testing.connection import turns
from broker.testing.contract import lacks, needs
from broker.testing.transport.bench import TransportBench
from broker.testing.transport.doubles import Doubles
from broker.testing.transport.each import every, publishing, streaming
from broker.testing.transport.probe import Probe
from broker.testing.transport.stage import TESTED

NOTHING: frozenset[Capability] = frozenset()


class Lifecycle:
    """Tests of the methods that every provider has, and of what a transport requires."""

    async def test_closing_without_opening_is_harmless(self, bench: TransportBench) -> None:
        transport = bench.transport()
        await transport.close()
        await transport.close()

    async def test_closing_twice_is_harmless(self, bench: TransportBench) -> None:
        async with bench.stage() as stage:
            pass
        await stage.transport.close()

    async def test_an_open_one_answers_ping(self, bench: TransportBench) -> None:
        async with bench.stage() as stage:
            await stage.transport.ping()

    async def test_closing_leaves_no_task(self, bench: TransportBench) -> None:
        before = asyncio.all_tasks()
        stage = bench.stage()
        async with stage:
            pass
        await stage.only(before)

    async def test_it_opens_again_where_another_was_closed(self, bench: TransportBench) -> None:
        for _ in range(2):
            async with bench.stage(folder="same") as stage:
                await stage.transport.ping()

    @publishing
    async def test_two_brokers_know_nothing_of_each_other(
        self, bench: TransportBench, probe: Probe
    ) -> None:
        async with bench.stage(probe) as one, bench.stage(probe) as other:
            await other.ask()
            await turns()
            assert one.happened() == []
            assert await one.counts() == one.before
            assert await other.counts() != other.before

    @needs("routes")
    @streaming
    async def test_a_stream_outlives_another_broker(
        self, bench: TransportBench, probe: Probe
    ) -> None:
        async with bench.stage(probe) as one, one.begun() as exchange:
            async with bench.stage(probe) as other, other.begun():
                other.broker.drain()
            reading = asyncio.ensure_future(exchange.rest())
            await one.advance(1)
            assert not reading.done()
            one.broker.drain()
            await reading

    @needs("requires")
    async def test_what_it_requires_of_the_storage_is_demanded_at_the_start(
        self, bench: TransportBench
    ) -> None:
        for missing in sorted(bench.transport().requires):
            doubles = Doubles(capabilities=Doubles.everything - {missing})
            with pytest.raises(PluginError) as refused:
                bench.stage(doubles=doubles)
            assert TESTED in str(refused.value)
            assert missing in str(refused.value)

    @needs("routes")
    @lacks("requires")
    @every
    async def test_one_that_requires_nothing_works_with_any_storage(
        self, bench: TransportBench, probe: Probe
    ) -> None:
        async with bench.stage(probe, doubles=Doubles(capabilities=NOTHING)) as stage:
            answer = await stage.ask()
            assert answer.status < 500, answer
