"""Several brokers, each a process, that count in one Redis."""

import asyncio
from collections import Counter

import httpx
from served import Served

LIMIT = 500
TABLES = f"""
[plugins.ratelimit]
url = "{{url}}"
when_unavailable = "deny"
[plugins.ratelimit.limits.all]
rate = "{LIMIT}/hour; {LIMIT * 10}/day"
activities = ["publish"]
key = "address"
"""


async def publish(url: str, count: int) -> Counter[int]:
    """Publish over a few connections at once; return how often which answer came."""
    statuses: Counter[int] = Counter()
    async with httpx.AsyncClient(base_url=url) as client:

        async def work() -> None:
            for _ in range(count // 8):
                answer = await client.post("/queues/q/messages", json={"content": "m"})
                statuses[answer.status_code] += 1

        await client.post("/queues", json={"name": "q"})
        await asyncio.gather(*(work() for _ in range(8)))
    return statuses


async def test_three_brokers_let_pass_what_one_would(tmp_path, valkey):
    brokers = []
    try:
        for name in ("a", "b", "c"):
            (tmp_path / name).mkdir()
            (tmp_path / name / "broker.toml").touch(0o600)
            tables = TABLES.format(url=valkey.url)
            brokers.append(Served(tmp_path / name, plugins=["ratelimit"], tables=tables))
        answers = await asyncio.gather(*(publish(broker.url, LIMIT) for broker in brokers))
    finally:
        for broker in brokers:
            broker.end()

    total = sum(answers, Counter())
    assert all(counts[201] for counts in answers), "each let some pass"
    # A take that was not waited for may have counted: nobody was let through by it.
    assert LIMIT - total[503] <= total[201] <= LIMIT * 1.01
    assert total[429] >= 3 * (LIMIT - 8) - LIMIT * 1.01 - total[503]
    assert set(total) <= {201, 429, 503}
