"""One connection to a real Valkey, and what becomes of it."""

import asyncio
import select

import pytest
from proxy import Proxy

from broker_sse.redis_link import RedisLink, Script
from broker_sse.redis_order import SEND
from broker_sse.redis_url import read_redis_url


@pytest.fixture
def link(valkey):
    return RedisLink(read_redis_url(valkey.url))


async def test_it_asks_and_is_answered(link):
    await link.open()
    assert await link.ask("SET", "key", b"\x00value") == b"OK"
    assert await link.ask_all([("GET", "key"), ("STRLEN", "key")]) == [b"\x00value", 6]
    await link.close()


async def test_who_did_not_open_it_is_told(link):
    with pytest.raises(OSError, match="not connected"):
        await link.ask("PING")
    await link.close()


async def test_a_server_is_told_a_script_only_once_and_again_when_it_forgot(link, valkey):
    await link.open()
    for _ in range(3):
        assert await link.run(SEND, ["{t}:o", "{t}:e"], "epoch", 1, "1") == 0
    valkey.ask("SCRIPT FLUSH")
    assert await link.run(SEND, ["{t}:o", "{t}:e"], "epoch", 1, "1") == 0
    await link.close()

    statistics = valkey.ask("INFO", "commandstats")
    assert statistics["cmdstat_eval"]["calls"] == 2
    assert statistics["cmdstat_evalsha"]["calls"] == 4


async def test_an_answer_that_is_an_error_is_an_oserror_and_the_link_goes_on(link):
    await link.open()
    with pytest.raises(OSError, match="unknown command"):
        await link.ask("NOTHING")
    assert await link.ask("PING") == b"PONG"
    await link.close()


async def test_no_answer_in_time_is_an_oserror_and_the_late_one_answers_nothing_else(
    valkey, patience
):
    async with Proxy(valkey.port) as proxy:
        link = RedisLink(read_redis_url(f"redis://{proxy.address}"))
        await link.open()
        patience(0.05)
        proxy.delay_seconds = 0.2
        with pytest.raises(TimeoutError, match=r"^no answer within 0\.05 s$"):
            await link.ask("ECHO", "late")
        proxy.delay_seconds = 0
        patience(60)
        await link.open()
        assert await link.ask("ECHO", "next") == b"next"
        await link.close()


async def test_an_answer_that_is_there_is_read_though_the_loop_was_busy(link, patience):
    await link.open()
    patience(0)
    asking = asyncio.create_task(link.ask("PING"))
    await asyncio.sleep(0)
    # Which is what keeps the loop busy: until the answer is there, and so for too long.
    select.select([link._connection._writer.get_extra_info("socket")], [], [])
    assert await asking == b"PONG"
    await link.close()


async def test_who_is_cancelled_while_it_asks_is_cancelled(link):
    await link.open()
    asking = asyncio.create_task(link.ask_all([("BLPOP", "nothing", "0")], wait_seconds=60))
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await link.close()


async def test_a_socket_of_this_machine_will_do(start_valkey, tmp_path):
    path = tmp_path / "r.sock"
    start_valkey("--unixsocket", path)
    link = RedisLink(read_redis_url(f"unix://{path}?db=3"))
    await link.open()
    assert b"db=3" in await link.ask("CLIENT", "INFO")
    await link.close()


def test_a_script_is_named_by_its_text():
    assert Script("send.lua").digest == SEND.digest != Script("join.lua").digest
