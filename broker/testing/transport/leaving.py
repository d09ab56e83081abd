"""Clients that go: what was leased for them comes back, and nobody works for them any longer."""

from __future__ import annotations

import asyncio

import pytest

from broker.testing.connection import turns
from broker.testing.contract import needs
from broker.testing.transport.bench import TransportBench
from broker.testing.transport.each import (
    every,
    leaseless,
    leasing,
    leasing_at_once,
    streaming_leases,
)
from broker.testing.transport.probe import Probe

hot_or_not = pytest.mark.parametrize("hot", [True, False], ids=["hot", "not hot"])


class Leaving:
    """Tests of clients that do not wait for what they asked for."""

    @leasing
    async def test_who_leases_gets_leases(self, bench: TransportBench, probe: Probe) -> None:
        async with bench.stage(probe) as stage, stage.begun():
            await stage.leases_are_out()
            assert "message.leased" in stage.happened()

    @leaseless
    async def test_what_leases_nothing_leases_nothing(
        self, bench: TransportBench, probe: Probe
    ) -> None:
        async with bench.stage(probe) as stage, stage.begun():
            await turns()
            assert "message.leased" not in stage.happened()
            assert (await stage.counts()).processing <= stage.before.processing

    @needs("routes")
    @hot_or_not
    @leasing_at_once
    async def test_a_client_that_goes_before_its_leases_come_gives_them_back(
        self, bench: TransportBench, probe: Probe, hot: bool
    ) -> None:
        async with bench.stage(probe, hot=hot) as stage:
            stage.doubles.storage.released.clear()
            exchange = stage.begin()
            await stage.doubles.storage.was_asked.wait()
            await stage.leave(exchange)
            await stage.all_is_back()

    @needs("routes")
    @hot_or_not
    @leasing_at_once
    async def test_a_client_that_goes_as_its_leases_come_gives_them_back(
        self, bench: TransportBench, probe: Probe, hot: bool
    ) -> None:
        async with bench.stage(probe, hot=hot) as stage:
            exchange = stage.begin()
            # It is sent the head of its answer and takes nothing of it.
            await stage.leases_are_out()
            await stage.leave(exchange)
            await stage.all_is_back()

    @needs("routes")
    @hot_or_not
    @streaming_leases
    async def test_who_leaves_a_stream_gives_its_leases_back(
        self, bench: TransportBench, probe: Probe, hot: bool
    ) -> None:
        async with bench.stage(probe, hot=hot) as stage:
            async with stage.begun() as exchange:
                await stage.leases_are_out()
                await exchange.next()
            await stage.all_is_back()

    @every
    async def test_a_request_leaves_no_task(self, bench: TransportBench, probe: Probe) -> None:
        async with bench.stage(probe) as stage:
            before = asyncio.all_tasks()
            await stage.ask()
            await stage.only(before)

    @needs("routes")
    @hot_or_not
    @every
    async def test_a_client_that_goes_leaves_no_task(
        self, bench: TransportBench, probe: Probe, hot: bool
    ) -> None:
        async with bench.stage(probe, hot=hot) as stage:
            before = asyncio.all_tasks()
            stage.doubles.storage.released.clear()
            exchange = stage.begin()
            await turns()
            await stage.leave(exchange)
            await stage.only(before)
