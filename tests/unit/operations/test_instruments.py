"""What the engine shows of itself."""

import asyncio

import pytest
from house import ADMIN, House

from broker import (
    Allowance,
    Distribution,
    Draft,
    RateLimited,
    RateLimiter,
    Stream,
    Unavailable,
)
from broker.builtin.memory import MemoryStorage


def shown(broker):
    return {measurement.name: measurement.points for measurement in broker.measure()}


async def test_failures_and_requests_in_flight_are_shown_as_they_are_counted_elsewhere():
    async with House() as house:
        house.broker.failures.count("acme", "observe", 3)
        with house.broker.turns.taken():
            numbers = shown(house.broker)

    assert numbers["broker_plugin_failures"] == {("acme", "observe"): 3}
    assert numbers["broker_http_requests_in_flight"] == {(): 1}


async def test_a_plugin_whose_metric_cannot_be_read_has_failed():
    def fail():
        raise OSError("no disk")

    async with House() as house:
        house.broker.meter.of("acme").gauge("broken", "Broken.", fail)

        assert "broker_broken" not in shown(house.broker)
        assert house.broker.failures == {("acme", "read a metric"): 1}


class Refuses(RateLimiter):
    async def spend(self, spendings):
        return Allowance(allowed=False, retry_after=1, refused_by="writes")


async def test_what_a_rate_limit_refused_is_counted_by_the_limit():
    async with House() as house:
        broker = House(limiter=Refuses()).broker
        for _ in range(2):
            with pytest.raises(RateLimited):
                await broker.publish(ADMIN, [Draft(queue="q", body=b"")])

        assert shown(broker)["broker_ratelimit_rejected"] == {("writes",): 2}
        assert shown(house.broker)["broker_ratelimit_rejected"] == {}


class Fails(MemoryStorage):
    def __init__(self):
        super().__init__()
        self.is_asked = asyncio.Event()
        self.problem = None

    async def maintain(self, *, now, limit):
        self.is_asked.set()
        if self.problem is not None:
            raise self.problem
        return await super().maintain(now=now, limit=limit)


async def test_upkeep_is_timed_and_its_failures_are_counted():
    storage = Fails()
    async with House(storage=storage) as house, house.broker.working():
        await storage.is_asked.wait()
        await settle()
        storage.problem = Unavailable("away")
        storage.is_asked.clear()
        house.clock.advance(1)
        await storage.is_asked.wait()
        await settle()
        numbers = shown(house.broker)

    assert numbers["broker_maintenance_failures"] == {(): 1}
    assert sum(numbers["broker_maintenance_seconds"][()].counts) == 1


async def test_who_waits_for_messages_is_shown():
    async with House() as house:
        waiting = asyncio.ensure_future(house.broker.lease(ADMIN, "q", wait=20))
        await settle()
        assert shown(house.broker)["broker_http_requests_waiting"] == {(): 1}
        await house.broker.publish(ADMIN, [Draft(queue="q", body=b"")])
        await waiting

        assert shown(house.broker)["broker_http_requests_waiting"] == {(): 0}


class Quiet(Stream):
    async def take(self):
        return b""


async def test_open_streams_are_shown_by_plugin():
    async with House() as house:
        stream = Quiet(ADMIN)
        house.broker.streams.join(stream, "acme")
        assert shown(house.broker)["broker_streams_open"] == {("acme",): 1}
        await house.broker.streams.leave(stream)

        assert shown(house.broker)["broker_streams_open"] == {}


async def settle():
    for _ in range(20):
        await asyncio.sleep(0)


async def test_durations_are_by_method_route_and_status():
    async with House() as house:
        house.broker.served.durations.record(0.02, "GET", "/", "200")

        [(labels, found)] = shown(house.broker)["broker_http_request_duration_seconds"].items()

    assert labels == ("GET", "/", "200")
    assert isinstance(found, Distribution)
    assert (sum(found.counts), found.sum) == (1, 0.02)
