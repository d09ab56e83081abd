import asyncio
import errno
import logging

import pytest

from broker import Provider, StorageFull
from broker.health import Health
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
    health = Health(clock)
    providers = [Pinged() for _ in names]
    for name, provider in zip(names, providers, strict=True):
        health.add(name, provider)
    return health, clock, *providers


async def test_one_bad_provider_of_a_plugin_is_enough():
    health, _, first, _, third = make("acme", "acme", "other")
    first.problem, third.problem = OSError(errno.EROFS, "read-only"), ValueError("odd")

    assert await health.check() == {"acme": "read-only", "other": "ValueError"}


@pytest.mark.parametrize(
    ("problem", "told"),
    [
        (StorageFull("no room on the disk"), "no room on the disk"),  # written for clients
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), "Connection refused"),
        (OSError("postgres://user:secret@host"), "OSError"),
        (ValueError("secret"), "ValueError"),
        (TimeoutError("in 5 ms, by redis://user:secret@host"), "TimeoutError"),
        (TimeoutError(errno.ETIMEDOUT, "Connection timed out"), "Connection timed out"),
        (SystemExit(3), "SystemExit"),
        (asyncio.CancelledError(), "CancelledError"),
    ],
)
async def test_what_is_wrong_is_told_without_what_may_be_secret(problem, told):
    health, _, provider = make("acme")
    provider.problem = problem

    assert await health.check() == {"acme": told}


async def test_the_log_is_told_once_what_is_wrong_and_once_that_it_is_over(caplog):
    caplog.set_level(logging.INFO)
    health, clock, provider = make("acme")
    for problem in (None, OSError("no disk"), StorageFull("no room"), None, None):
        provider.problem = problem
        await health.check()
        clock.advance(1)

    assert [(line.levelname, line.getMessage()) for line in caplog.records] == [
        ("WARNING", 'plugin "acme" does not work now: OSError'),
        ("INFO", 'plugin "acme" works again'),
    ]
    assert "OSError: no disk" in caplog.text


async def test_providers_are_asked_all_at_one_time():
    health, _, *providers = make("a", "b", "c")
    for provider in providers:
        provider.answers.clear()
    asking = asyncio.ensure_future(health.check())
    while sum(provider.pings for provider in providers) < 3:
        await asyncio.sleep(0)
    for provider in providers:
        provider.answers.set()

    assert await asking == {"a": None, "b": None, "c": None}


async def test_one_who_does_not_answer_is_not_waited_for(monkeypatch):
    monkeypatch.setattr("broker.health.PING_SECONDS", 0.01)
    health, _, silent, _ = make("silent", "other")
    silent.answers.clear()

    assert await health.check() == {"silent": "no answer within 0.01 s", "other": None}


async def test_a_provider_is_asked_once_a_second_however_many_want_to_know():
    health, clock, storage = make("storage")
    for _ in range(100):
        assert await health.check() == {"storage": None}
    storage.problem = StorageFull("no room")
    clock.advance(0.999)
    assert await health.check() == {"storage": None}
    assert storage.pings == 1

    clock.advance(0.001)

    assert await health.check() == {"storage": "no room"}
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
    while storage.pings == 0:
        await asyncio.sleep(0)
    first.cancel()
    storage.answers.set()

    assert await second == {"storage": None}
    with pytest.raises(asyncio.CancelledError):
        await first


def test_it_is_stuck_when_nothing_has_gone_round_for_five_minutes():
    health, clock = make()
    clock.advance(300)
    assert not health.is_stuck
    clock.advance(0.001)
    assert health.is_stuck

    health.turn()

    assert not health.is_stuck
