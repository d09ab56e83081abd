"""What the tests of this plugin share: counters of each kind."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial

import pytest
from valkeys import Valkey

from broker.testing import ManualClock
from broker_ratelimit.counters import Counters
from broker_ratelimit.memory import MemoryCounters
from broker_ratelimit.redis_counters import RedisCounters

OpenCounters = Callable[[], AbstractAsyncContextManager[Counters]]


@asynccontextmanager
async def _open(make: Callable[[], Counters]) -> AsyncIterator[Counters]:
    counters = make()
    await counters.open()
    try:
        yield counters
    finally:
        await counters.close()


@pytest.fixture
def open_redis(valkey: Valkey) -> OpenCounters:
    """Count in one Valkey, each time as another broker would."""
    return partial(_open, partial(RedisCounters, valkey.url))


@pytest.fixture(params=["memory", "redis"])
def open_counters(request: pytest.FixtureRequest) -> OpenCounters:
    """Count from nothing, in a place of each kind."""
    if request.param == "memory":
        return partial(_open, partial(MemoryCounters, ManualClock()))
    return request.getfixturevalue("open_redis")
