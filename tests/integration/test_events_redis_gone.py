"""What clients are told while the Redis that events travel through is away."""

import asyncio
import json
import subprocess
import sys

import httpx
import pytest
import valkeys
from broker_nodes import BrokerNode, data
from click.testing import CliRunner
from outages import OUTAGES
from proxy import Proxy
from served import Served

from broker.cli import cli

BACK_SECONDS = 5
TABLES = """
[plugins.sse]
redis_url = "redis://{address}"
"""


def start(directory, address):
    (directory / "broker.toml").touch(0o600)
    return Served(directory, plugins=["sse"], tables=TABLES.format(address=address))


@pytest.mark.parametrize("outage", OUTAGES.values(), ids=OUTAGES)
async def test_events_go_on_and_gaps_are_told(tmp_path, valkey, outage):
    async with Proxy(valkey.port) as proxy:
        served = await asyncio.to_thread(start, tmp_path, proxy.address)
        try:
            async with httpx.AsyncClient(base_url=served.url, timeout=60) as http:
                await go_away_and_come_back(BrokerNode(http), outage, valkey, proxy)
        finally:
            await asyncio.to_thread(served.end)

    log = served.log()
    assert "Traceback" not in log
    assert log.count("passes no events on") >= 1
    assert log.count("events travel through Redis") == 1


async def go_away_and_come_back(node, outage, valkey, proxy):
    await node.make("q")
    async with node.events(event="message.published") as stream:
        [opening, before] = [await anext(stream), await published(node, stream)]
        assert before.id.split("-")[0] == opening.id.split("-")[0]

        outage.begin(valkey, proxy)
        sent = await node.publish("q")
        lost = await anext(stream)
        assert (lost.event, data(lost)) == ("gap", {"reason": "redis-lost"})
        assert data(await anext(stream))["message_id"] == sent, "it was on its way"
        alone = await published(node, stream)
        assert alone.id.split("-")[0] != before.id.split("-")[0]
        assert (await node.http.get("/readyz")).status_code == 200

        outage.end(valkey, proxy)
        async with asyncio.timeout(BACK_SECONDS):
            back = await anext(stream)
        assert (back.event, data(back)) == ("gap", {"reason": "redis-returned"})
        ended = await anext(stream)
        assert (ended.event, data(ended)) == ("gap", {"reason": "order-ended"})
        after = await published(node, stream)

    assert after.id == f"{after.id.split('-')[0]}-1"
    async with node.events(after.id) as stream:
        assert data(await anext(stream)) == {"resumed_from": after.id, "gap": False}
    async with node.events(before.id) as stream:
        assert data(await anext(stream)) == {"resumed_from": before.id, "gap": True}


async def published(node, stream):
    """Publish a message, and return the event that tells of it."""
    number = await node.publish("q")
    event = await anext(stream)
    assert (event.event, data(event)["message_id"]) == ("message.published", number)
    return event


def test_a_broker_whose_redis_is_away_starts_and_says_so(tmp_path):
    address = f"127.0.0.1:{valkeys.free_port()}"
    served = start(tmp_path, f":tell-nobody@{address}")
    ready = httpx.get(f"{served.url}/readyz").status_code
    served.end()

    assert ready == 200
    [notice] = [line for line in served.screen["notices"] if "Redis at" in line]
    assert notice.startswith(f"Redis at {address} passes no events on (")
    assert notice.endswith("; until it does, this broker tells of its own alone")
    [line] = [line for line in served.log().splitlines() if "[warning" in line]
    assert notice in line
    assert "tell-nobody" not in served.log()


def test_a_broker_says_through_which_redis_events_travel(tmp_path, valkey):
    served = start(tmp_path, valkey.address)
    served.end()

    assert f"events travel through Redis at {valkey.address}" in served.screen["notices"]


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("redis://:tell-nobody@127.0.0.1/zero", "expected the number of a database after the host"),
        (
            "redis+cluster://:tell-nobody@127.0.0.1",
            "events travel through one server, not a cluste",
        ),
        ("http://:tell-nobody@127.0.0.1", "expected redis://host:port/database, rediss://… or un"),
    ],
)
def test_a_url_that_is_none_is_refused_before_anything_is_opened(tmp_path, url, problem):
    path = config(tmp_path, url)
    done = CliRunner().invoke(cli, ["serve", "--config", str(path)], prog_name="broker")

    assert done.exit_code == 78
    assert f"plugins.sse.redis_url: {problem}" in done.output
    assert "tell-nobody" not in done.output


def test_a_wrong_password_ends_the_start(tmp_path, start_valkey):
    valkey = start_valkey(password="secret")
    path = config(tmp_path, f"redis://:guess@{valkey.address}")
    command = [sys.executable, "-m", "broker", "serve", "--config", path, "--port", "0"]
    done = subprocess.run(command, capture_output=True, text=True)

    assert done.returncode == 78
    assert done.stderr.startswith(
        f"broker: plugins.sse.redis_url: {valkey.address} refuses the user name or the password ("
    )
    assert len(done.stderr.splitlines()) == 1


def test_the_doctor_warns_of_a_redis_that_is_away(tmp_path, patience):
    address = f"127.0.0.1:{valkeys.free_port()}"
    path = config(tmp_path, f"redis://{address}")
    done = CliRunner().invoke(cli, ["doctor", "--config", str(path), "--json"])

    findings = json.loads(done.stdout)["findings"]
    [told] = [finding for finding in findings if finding["check"] == "provider-log"]
    assert (told["level"], told["subject"]) == ("warning", "sse")
    assert told["text"].startswith(f"Redis at {address} passes no events on (")


def config(directory, url):
    path = directory / "broker.toml"
    path.touch(0o600)
    path.write_text(
        f'[broker]\nplugins = ["sse"]\nanonymous = true\ndata_dir = "{directory}"\n'
        f'[plugins.sse]\nredis_url = "{url}"\n'
    )
    return path
