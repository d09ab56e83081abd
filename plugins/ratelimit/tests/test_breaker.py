"""Counting goes on while Redis is away, as the config says, and nobody waits for it twice."""

import asyncio
import logging
from contextlib import asynccontextmanager

import pytest
from pydantic import SecretStr

from broker import ConfigError, Unavailable
from broker.testing import ManualClock
from broker_ratelimit.breaker import RETRY_MS, Breaker
from broker_ratelimit.config import RateLimitConfig
from broker_ratelimit.counters import Claim, Window
from broker_ratelimit.assembly import make_counters
from broker_ratelimit.redis_counters import TIMEOUT_SECONDS

CLAIM = Claim("a", (Window(3, 86_400),), 1)
KEY = "{replika-broker}:a:86400"
LOGGER = logging.getLogger("broker.plugins.ratelimit")


@pytest.fixture(autouse=True)
def heard(caplog):
    caplog.set_level("INFO", LOGGER.name)
    return caplog


@asynccontextmanager
async def opened(valkey, when_unavailable="local", *, clock=None):
    config = RateLimitConfig(url=SecretStr(valkey.url), when_unavailable=when_unavailable)
    breaker = make_counters(config, clock=clock or ManualClock(), logger=LOGGER)
    assert isinstance(breaker, Breaker)
    await breaker.open()
    try:
        yield breaker
    finally:
        await breaker.close()


async def closed_again(breaker, clock):
    """Let the time pass until Redis counts again."""
    while breaker.notice() is not None:
        clock.advance(RETRY_MS / 1000)
        await asyncio.sleep(0)


def lines(heard):
    return [(record.levelname, record.getMessage()) for record in heard.records]


async def test_while_redis_is_there_it_counts_and_nothing_is_said(valkey, heard):
    async with opened(valkey) as breaker:
        assert await breaker.take([CLAIM])
        await breaker.ping()
        assert breaker.notice() is None

    assert valkey.ask("EXISTS", KEY) == 1
    assert lines(heard) == []


async def test_local_counts_in_memory_meanwhile(valkey):
    async with opened(valkey, "local") as breaker:
        await breaker.take([CLAIM])
        valkey.kill()

        assert [(await breaker.take([CLAIM]))[0] for _ in range(4)] == [True, True, True, False]
        await breaker.ping()


async def test_allow_lets_everything_pass_meanwhile_and_knows_no_counts(valkey):
    async with opened(valkey, "allow") as breaker:
        valkey.kill()

        assert [await breaker.take([CLAIM]) for _ in range(4)] == [(True, [])] * 4
        await breaker.ping()


async def test_deny_lets_nothing_pass_meanwhile(valkey):
    text = "requests cannot be counted now, and none is let through uncounted"
    async with opened(valkey, "deny") as breaker:
        valkey.kill()

        for _ in range(4):
            with pytest.raises(Unavailable, match=f"^{text}$") as refused:
                await breaker.take([CLAIM])
            assert refused.value.retry_after == 1
        with pytest.raises(Unavailable):
            await breaker.ping()


async def test_it_says_once_that_redis_is_gone_and_once_that_it_is_back(valkey, heard):
    clock = ManualClock()
    async with opened(valkey, clock=clock) as breaker:
        valkey.kill()
        await asyncio.gather(*(breaker.take([CLAIM]) for _ in range(50)))
        notice = breaker.notice()
        valkey.start()
        await closed_again(breaker, clock)

    assert lines(heard) == [
        ("WARNING", notice),
        ("INFO", f"Redis at {valkey.address} counts again"),
    ]
    assert notice.startswith(f"Redis at {valkey.address} does not count (")
    assert notice.endswith("); until it does, this broker counts for itself")


async def test_nobody_asks_a_redis_that_is_gone(valkey):
    async with opened(valkey, "allow") as breaker:
        valkey.kill()
        await breaker.take([CLAIM])
        valkey.start()
        asked = valkey.ask("INFO", "stats")["total_connections_received"]
        await asyncio.gather(*(breaker.take([CLAIM]) for _ in range(100)))

        assert valkey.ask("INFO", "stats")["total_connections_received"] == asked + 1
        assert valkey.ask("DBSIZE") == 0


async def test_it_asks_again_only_after_a_second(valkey):
    clock = ManualClock()
    async with opened(valkey, clock=clock) as breaker:
        valkey.kill()
        await breaker.take([CLAIM])
        valkey.start()
        clock.advance((RETRY_MS - 1) / 1000)
        for _ in range(20):
            await asyncio.sleep(0)

        assert breaker.notice() is not None
        await closed_again(breaker, clock)


async def test_back_in_redis_nothing_of_the_meantime_counts(valkey, patience):
    clock = ManualClock()
    async with opened(valkey, clock=clock) as breaker:
        await breaker.take([CLAIM])
        valkey.pause()
        patience(TIMEOUT_SECONDS)
        await breaker.take([CLAIM])
        valkey.go_on()
        patience(60)
        await closed_again(breaker, clock)

        _, [count] = await breaker.take([CLAIM])
    # The take that nobody waited for may have reached the server all the same.
    assert count.current in (2, 3)


async def test_it_asks_as_often_as_it_takes(valkey):
    clock = ManualClock()
    async with opened(valkey, clock=clock) as breaker:
        for _ in range(3):
            valkey.kill()
            await breaker.take([CLAIM])
            clock.advance(RETRY_MS / 1000)
            await asyncio.sleep(0)
            valkey.start()
            await closed_again(breaker, clock)
            assert (await breaker.take([CLAIM]))[1][0].current == 1


async def test_whatever_redis_refuses_is_as_if_it_were_gone(valkey):
    clock = ManualClock()
    troubles = [
        (["CONFIG SET", "maxmemory", "1"], ["CONFIG SET", "maxmemory", "0"]),
        (["REPLICAOF", "127.0.0.1", "1"], ["REPLICAOF", "NO", "ONE"]),
        (["ACL SETUSER", "default", "-evalsha"], ["ACL SETUSER", "default", "+evalsha"]),
    ]
    async with opened(valkey, "allow", clock=clock) as breaker:
        for trouble, remedy in troubles:
            valkey.ask(*trouble)
            assert await breaker.take([CLAIM]) == (True, [])
            await try_in_vain(breaker, clock)
            valkey.ask(*remedy)
            await closed_again(breaker, clock)
            assert len((await breaker.take([CLAIM]))[1]) == 1


async def try_in_vain(breaker, clock):
    """Let it ask again, and fail."""
    tried = asyncio.Event()
    ask = breaker._shared.try_again

    async def note():
        try:
            await ask()
        finally:
            tried.set()

    breaker._shared.try_again = note
    while not tried.is_set():
        clock.advance(RETRY_MS / 1000)
        await asyncio.sleep(0)
    breaker._shared.try_again = ask
    assert breaker.notice() is not None


async def test_a_redis_that_loads_its_data_is_as_if_it_were_gone(start_valkey):
    valkey = start_valkey("--enable-debug-command", "local")
    valkey.ask("DEBUG", "POPULATE", "2000")
    valkey.ask("SAVE")
    clock = ManualClock()
    async with opened(valkey, "allow", clock=clock) as breaker:
        valkey.kill()
        slowly = ("--key-load-delay", "1000", "--loading-process-events-interval-bytes", "1024")
        valkey.start(*slowly, ready="Loading RDB")
        assert await breaker.take([CLAIM]) == (True, [])
        await try_in_vain(breaker, clock)
        valkey.ask("CONFIG SET", "key-load-delay", "0")
        await closed_again(breaker, clock)


async def test_it_starts_without_redis(valkey, heard):
    clock = ManualClock()
    valkey.kill()
    async with opened(valkey, clock=clock) as breaker:
        assert (await breaker.take([CLAIM]))[0]
        assert lines(heard) == [("WARNING", breaker.notice())]

        valkey.start()
        await closed_again(breaker, clock)
        await breaker.take([CLAIM])

    assert valkey.ask("EXISTS", KEY) == 1


async def test_no_line_holds_the_password(start_valkey, heard):
    heard.set_level("DEBUG")
    valkey = start_valkey(password="tell-nobody")
    clock = ManualClock()
    async with opened(valkey, clock=clock) as breaker:
        valkey.kill()
        await breaker.take([CLAIM])
        assert "tell-nobody" not in breaker.notice()

        valkey.start()
        await closed_again(breaker, clock)

    assert len(heard.records) >= 2
    assert "tell-nobody" not in heard.text


async def test_a_config_that_can_never_count_ends_the_start(start_valkey):
    valkey = start_valkey(password="secret")
    valkey.password = "wrong"
    with pytest.raises(ConfigError, match=r"^plugins\.ratelimit\.url: 127"):
        async with opened(valkey):
            pass


async def test_who_is_cancelled_leaves_it_as_it_is(valkey, heard):
    async with opened(valkey) as breaker:
        valkey.pause()
        take = asyncio.create_task(breaker.take([CLAIM]))
        for _ in range(5):
            await asyncio.sleep(0)
        take.cancel()
        with pytest.raises(asyncio.CancelledError):
            await take
        valkey.go_on()

        assert breaker.notice() is None
        assert (await breaker.take([CLAIM]))[0]
    assert lines(heard) == []
