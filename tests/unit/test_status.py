import asyncio

import pytest

from broker import Provider
from broker.status import Health
from broker.testing import ManualClock


class Pinged(Provider):
    def __init__(self):
        self.pings = 0
        self.answers = asyncio.Event()
        self.answers.set()
        self.problem = None

    async def ping(self):
        self.pings += 1
        await self.answers.wait()
        if self.problem is not None:
            raise self.problem


def make(*names):
    clock = ManualClock()
    providers = [(name, Pinged()) for name in names]
    return Health(providers, clock), clock, *(provider for _, provider in providers)


async def test_one_bad_provider_of_a_plugin_is_enough():
    health, _, first, _, third = make("acme", "acme", "other")
    first.problem, third.problem = OSError("no disk"), ValueError("odd")

    assert await health.check() == {"acme": "OSError: no disk", "other": "ValueError: odd"}


async def test_a_provider_is_asked_once_a_second_however_many_want_to_know():
    health, clock, storage = make("storage")
    for _ in range(100):
        assert await health.check() == {"storage": None}
    storage.problem = OSError("no disk")
    clock.advance(0.999)
    assert await health.check() == {"storage": None}
    assert storage.pings == 1

    clock.advance(0.001)

    assert await health.check() == {"storage": "OSError: no disk"}
    assert storage.pings == 2


async def test_those_who_ask_at_one_time_share_the_answer():
    health, _, storage = make("storage")
    storage.answers.clear()
    asking = [asyncio.ensure_future(health.check()) for _ in range(100)]
    await asyncio.sleep(0)
    storage.answers.set()

    assert await asyncio.gather(*asking) == [{"storage": None}] * 100
    assert storage.pings == 1


async def test_one_who_goes_leaves_the_question_to_the_next():
    health, _, storage = make("storage")
    storage.answers.clear()
    first, second = (asyncio.ensure_future(health.check()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    storage.answers.set()

    assert await second == {"storage": None}
    with pytest.raises(asyncio.CancelledError):
        await first
