import asyncio
from types import SimpleNamespace

import pytest

from broker.errors import Unavailable
from broker.models import Overview, Totals
from broker.operations.pace import Pace
from broker.status import Rate, Rates, Served
from broker.testing import ManualClock


class House:
    """A pace over queues whose totals a test sets."""

    def __init__(self):
        self.clock = ManualClock()
        self.served = Served()
        self.queues = {}
        self.looks = 0
        self.fails = None
        self.at = None
        self.meanwhile = 0
        self.pace = Pace(self.look, self.served, self.clock)

    def answer(self, times):
        self.served.others.add(times, "GET", "/", "200")

    async def look(self):
        self.looks += 1
        self.answer(self.meanwhile)
        if self.fails is not None:
            raise self.fails
        queues = [
            SimpleNamespace(queue=SimpleNamespace(id=id_), totals=Totals(**totals))
            for id_, totals in self.queues.items()
        ]
        return Overview(at=self.at or self.clock.now(), queues=tuple(queues))

    async def sample(self, seconds=0):
        self.clock.advance(seconds)
        await self.pace.sample()

    @property
    def asked(self):
        """How many requests were answered a second, in the last 1, 5 and 15 minutes."""
        rates = self.pace.rates()
        windows = (rates.one_minute, rates.five_minutes, rates.fifteen_minutes)
        return tuple(rate and rate.requests_per_second for rate in windows)

    @property
    def published(self):
        """How many were published a second, in the last 1, 5 and 15 minutes."""
        rates = self.pace.rates()
        windows = (rates.one_minute, rates.five_minutes, rates.fifteen_minutes)
        return tuple(rate and rate.published_per_second for rate in windows)


async def test_nothing_is_told_before_there_is_something_to_compare():
    house = House()
    assert house.published == (None, None, None)
    await house.sample()
    assert house.published == (None, None, None)


async def test_each_number_has_its_rate():
    house = House()
    house.queues[1] = {"published": 100, "delivered": 100, "acked": 100, "failed": 100}
    house.answer(7)
    await house.sample()
    house.queues[1] = {"published": 140, "delivered": 130, "acked": 120, "failed": 110}
    house.answer(50)
    await house.sample(10)

    assert house.pace.rates().fifteen_minutes == Rate(
        requests_per_second=5,
        published_per_second=4,
        delivered_per_second=3,
        acked_per_second=2,
        failed_per_second=1,
    )


@pytest.mark.parametrize("queues", [{}, {1: {"published": 7, "failed": 7}}])
async def test_where_nothing_happens_all_rates_are_0(queues):
    house = House()
    house.queues = queues
    await house.sample()
    await house.sample(10)

    nothing = Rate(
        requests_per_second=0,
        published_per_second=0,
        delivered_per_second=0,
        acked_per_second=0,
        failed_per_second=0,
    )
    assert house.pace.rates() == Rates(
        one_minute=nothing, five_minutes=nothing, fifteen_minutes=nothing
    )


async def test_a_window_holds_what_happened_within_it():
    house = House()
    house.queues[1] = {"published": 0}
    await house.sample()
    for number in range(90):
        grown = 600 if number < 60 else 60 if number < 84 else 6  # 10, 5, and the last minute
        house.queues[1] = {"published": house.queues[1]["published"] + grown}
        await house.sample(10)

    minute, five, fifteen = 6 * 6, 6 * 6 + 24 * 60, 6 * 6 + 24 * 60 + 60 * 600
    assert house.published == (minute / 60, five / 300, fifteen / 900)


async def test_what_is_older_than_the_longest_window_is_forgotten():
    house = House()
    await house.sample()
    house.queues[1] = {"published": 9_000}
    for _ in range(92):
        await house.sample(10)

    assert house.published == (0, 0, 0)


async def test_a_window_is_whole_although_timers_are_late():
    house = House()
    for number in range(92):
        house.queues[1] = {"published": number**2}
        await house.sample(10.01)

    assert house.published == (
        pytest.approx((91**2 - 85**2) / 60.06, abs=0.001),
        pytest.approx((91**2 - 61**2) / 300.3, abs=0.001),
        pytest.approx((91**2 - 1) / 900.9, abs=0.001),
    )


async def test_an_overview_that_was_seen_is_no_sample_of_messages_but_one_of_requests():
    house = House()
    house.queues[1] = {"published": 0}
    await house.sample()
    house.at = house.clock.now()
    for _ in range(91):
        house.answer(20)
        await house.sample(10)
    assert (house.published, house.asked) == ((None,) * 3, (None,) * 3)

    house.at = None
    house.queues[1] = {"published": 460}
    house.answer(20)
    await house.sample(10)

    assert house.published == (0.5, 0.5, 0.5)  # in the 920 s since the one before
    assert house.asked == (2, 2, 2)


async def test_requests_are_counted_when_a_look_begins_and_by_that_time():
    house = House()
    await house.sample()
    house.at = house.clock.now() + 8_000  # somebody else looked then
    house.answer(80)

    house.meanwhile = 1_000
    await house.sample(10)

    assert house.asked == (8, 8, 8)


async def test_totals_that_shrink_count_as_nothing():
    house = House()
    house.queues[1] = {"published": 500, "acked": 0}
    await house.sample()
    house.queues[1] = {"published": 100, "acked": 50}
    await house.sample(10)

    rate = house.pace.rates().one_minute
    assert (rate.published_per_second, rate.acked_per_second) == (0, 5)

    house.queues[1] = {"published": 200, "acked": 50}
    await house.sample(10)

    rate = house.pace.rates().one_minute
    assert (rate.published_per_second, rate.acked_per_second) == (5, 2.5)


async def test_others_have_their_turn_while_queues_are_compared(monkeypatch):
    monkeypatch.setattr("broker.operations.pace.AT_ONCE", 2)
    house = House()
    house.queues = {number: {"published": 0} for number in range(21)}
    await house.sample()
    house.queues = {number: {"published": 10} for number in range(21)}
    house.clock.advance(10)
    sampling = asyncio.ensure_future(house.pace.sample())
    turns = 0
    while not sampling.done():
        turns += 1
        await asyncio.sleep(0)

    assert turns >= 11
    assert house.published == (21, 21, 21)


async def test_a_new_queue_counts_from_nothing_and_a_dropped_one_takes_nothing_away():
    house = House()
    house.queues[1] = {"published": 1_000}
    await house.sample()
    del house.queues[1]
    house.queues[2] = {"published": 50}
    await house.sample(10)
    assert house.published == (5, 5, 5)
    house.queues[2] = {"published": 60}
    await house.sample(10)
    assert house.published == (3, 3, 3)


async def test_a_sample_is_taken_every_ten_seconds_while_the_broker_works():
    house = House()
    async with house.pace.kept():
        await settled()
        for seconds in (9.999, 0.001, 10):
            house.clock.advance(seconds)
            await settled()
        assert house.looks == 3
    house.clock.advance(60)
    await settled()
    assert house.looks == 3


async def test_queues_that_cannot_be_looked_at_now_may_be_later(caplog):
    house = House()
    house.fails = Unavailable("not now")
    async with house.pace.kept():
        await settled()
        assert caplog.messages == []
        house.fails = ZeroDivisionError()
        house.clock.advance(10)
        await settled()
        assert caplog.messages == ["the queues cannot be looked at"]
        house.fails = None
        house.clock.advance(10)
        await settled()
        house.queues[1] = {"published": 20}
        house.clock.advance(10)
        await settled()
    assert house.published == (2, 2, 2)


async def settled():
    for _ in range(10):
        await asyncio.sleep(0)
