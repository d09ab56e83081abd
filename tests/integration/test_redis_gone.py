"""What clients of a broker notice while the Redis that counts for it is away: next to nothing."""

import asyncio
import time
from contextlib import asynccontextmanager

import httpx
import pytest
from outages import OUTAGES
from proxy import Proxy
from served import Served

ADDED_SECONDS = 0.25
BACK_SECONDS = 5
NOISE_SECONDS = 4.0
"""How much longer an answer may take on a busy machine; who waits for Redis waits for ever."""

TABLES = """
[plugins.ratelimit]
url = "redis://{address}"
when_unavailable = "{when_unavailable}"
[plugins.ratelimit.limits.all]
rate = "1000000/day"
"""
KEY = "{replika-broker}:all:address:127.0.0.1:86400"


class Client:
    """Publishes, and keeps the answers."""

    def __init__(self, http, valkey):
        self._http = http
        self._valkey = valkey

    async def publish(self):
        return await self._http.post("/queues/q/messages", json={"content": "m"})

    async def publish_many(self, count=100):
        """Publish over 10 connections at once; return the answers and the longest seconds."""
        answers, seconds = [], []

        async def work():
            for _ in range(count // 10):
                begun = time.monotonic()
                answers.append(await self.publish())
                seconds.append(time.monotonic() - begun)

        await asyncio.gather(*(work() for _ in range(10)))
        return answers, max(seconds)

    async def counts_in_redis(self):
        """Publish until Redis has counted it."""
        before = self.counted()
        while self.counted() <= before:
            assert (await self.publish()).status_code in (201, 503)

    def counted(self):
        """Return how much Redis has counted."""
        value = self._valkey.ask("GET", KEY) or b"0 0 0"
        return int(value.split()[1])


@asynccontextmanager
async def serving(directory, valkey, when_unavailable):
    async with Proxy(valkey.port) as proxy:
        (directory / "broker.toml").touch(0o600)
        tables = TABLES.format(address=proxy.address, when_unavailable=when_unavailable)
        served = await asyncio.to_thread(Served, directory, plugins=["ratelimit"], tables=tables)
        try:
            async with httpx.AsyncClient(base_url=served.url) as http:
                client = Client(http, valkey)
                assert (await http.post("/queues", json={"name": "q"})).status_code == 201
                yield served, proxy, client
        finally:
            await asyncio.to_thread(served.end)


def lines(served, text):
    return [line for line in served.log().splitlines() if text in line]


def check(answer, when_unavailable):
    if when_unavailable == "deny":
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "1"
        assert answer.json()["code"] == "unavailable"
    else:
        assert answer.status_code == 201
    # Only what was counted somewhere can be told.
    assert ("ratelimit" in answer.headers) == (when_unavailable == "local")


@pytest.mark.parametrize("outage", OUTAGES.values(), ids=OUTAGES)
@pytest.mark.parametrize("when_unavailable", ["local", "allow", "deny"])
async def test_redis_goes_away_and_comes_back(tmp_path, valkey, outage, when_unavailable):
    async with serving(tmp_path, valkey, when_unavailable) as (served, proxy, client):
        await client.counts_in_redis()
        _, usual = await client.publish_many()

        outage.begin(valkey, proxy)
        answers, longest = await client.publish_many()
        for answer in answers:
            check(answer, when_unavailable)
        assert longest < usual + ADDED_SECONDS + NOISE_SECONDS

        # From now on, only the broker itself asks, once in a second.
        asked = proxy.asked
        answers, _ = await client.publish_many()
        for answer in answers:
            check(answer, when_unavailable)
        assert proxy.asked - asked < len(answers) / 2

        outage.end(valkey, proxy)
        async with asyncio.timeout(BACK_SECONDS):
            await client.counts_in_redis()

        await asyncio.to_thread(served.end)  # all that is logged is written then
        # On a machine that has much else to do, an answer may once have come too late.
        assert 1 <= len(lines(served, "does not count")) < 5
        assert 1 <= len(lines(served, "counts again")) < 5
        assert not lines(served, "Traceback")


@pytest.mark.parametrize(
    "command", [["FLUSHALL"], ["SCRIPT FLUSH"], ["CLIENT KILL", "TYPE", "NORMAL"]]
)
async def test_what_redis_forgets_or_cuts_nobody_notices(tmp_path, valkey, command):
    async with serving(tmp_path, valkey, "local") as (served, _, client):
        for _ in range(3):
            await client.counts_in_redis()
            publishing = asyncio.create_task(client.publish_many())
            while not publishing.done() and client.counted() < 50:
                await asyncio.sleep(0)
            valkey.ask(*command)
            answers, _ = await publishing
            assert {answer.status_code for answer in answers} == {201}
            assert all("ratelimit" in answer.headers for answer in answers)

        await client.counts_in_redis()
        assert not lines(served, "Traceback")
