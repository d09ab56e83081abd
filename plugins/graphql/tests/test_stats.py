"""The numbers are those of REST."""

import asyncio
import json

from graphs import ADMIN, graph

from broker import Request

STATS = """{ stats {
  version startTime uptimeSeconds requestsTotal queuesTotal messagesTotal messagesPending
  messagesProcessing messagesProcessed messagesFailed lastError lastErrorTimestamp storage capabilities
  counts { pending scheduled processing processed failed }
  totals {
    published delivered acked retried released failed deadLettered redriven lapsed expired deleted
    dropped retired
  }
  rates {
    oneMinute { ...rate }
    fiveMinutes { ...rate }
    fifteenMinutes { ...rate }
  }
  plugins { name distribution version }
} }
fragment rate on Rate {
  requestsPerSecond publishedPerSecond deliveredPerSecond ackedPerSecond failedPerSecond
}"""


def snake(told):
    if not isinstance(told, dict):
        return told
    words = {"".join("_" + c.lower() if c.isupper() else c for c in key): key for key in told}
    return {word: snake(told[key]) for word, key in words.items()}


async def rest_stats(one):
    [rest] = [transport for name, transport in one.assembly.transports if name == "rest"]
    [route] = [route for route in rest.routes() if route.path == "/stats"]
    request = Request(
        method="GET", path="/stats", headers={}, body=b"", peer="203.0.113.7", request_id="r-1"
    )
    return json.loads((await route.handler(request)).body)


async def test_the_numbers_are_those_of_rest(tmp_path):
    async with graph(tmp_path) as one:
        await one.make("a", "b")
        await one.publish("a", "1", "2", "3")
        await one.publish("b", "4")
        await one.broker.lease(ADMIN, "a", limit=2)
        for _ in range(7):
            one.broker.served.durations.record(0.1, "GET", "/queues", "200")
        one.broker.served.last_error = ("KeyError", one.clock.now())
        one.clock.advance(10.5)
        await asyncio.sleep(0)
        told = snake((await one.data(STATS))["stats"])
        rest = await rest_stats(one)
    assert told.pop("version") == "0.1.0"
    assert told.pop("storage") == rest["broker_specific"]["db_engine"] == "memory"
    assert told.pop("capabilities") == rest["broker_specific"]["capabilities"]
    plugins = [{key: one[key] for key in ("name", "version")} for one in told.pop("plugins")]
    assert plugins == rest["plugins"]
    assert told == {key: rest[key] for key in told}
    assert told["rates"]["one_minute"]["requests_per_second"] == 0.667  # 7 in 10.5 s
    assert told["counts"]["processing"] == told["messages_processing"] == 2
    assert (told["uptime_seconds"], told["requests_total"], told["last_error"]) == (
        10.5,
        7,
        "KeyError",
    )


async def test_the_rates_of_an_idle_broker_are_0(tmp_path):
    async with graph(tmp_path) as one:
        one.clock.advance(10)
        await asyncio.sleep(0)
        told = await one.data("{ stats { rates { oneMinute { publishedPerSecond } } } }")
    assert told == {"stats": {"rates": {"oneMinute": {"publishedPerSecond": 0}}}}


async def test_the_numbers_are_for_admins(tmp_path):
    async with graph(tmp_path) as one:
        one.scopes = frozenset({"read:*", "manage:*"})
        result = await one.ask("{ stats { queuesTotal } }")
    assert result["data"] == {"stats": None}
    assert [error["extensions"]["code"] for error in result["errors"]] == ["forbidden"]
