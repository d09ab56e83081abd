"""What only a Redis has: keys, scripts, connections, a time of its own, a way to go away."""

import asyncio
import random
from pathlib import Path

import pytest
import redis
import valkeys
from redis.crc import key_slot
from valkeys import Sentinel

from broker_ratelimit.counters import Claim, Count, Window
from broker_ratelimit.redis_counters import (
    KEY_PREFIX,
    MAX_TOGETHER,
    TAKE,
    TIMEOUT_SECONDS,
    RedisCounters,
)
from broker_ratelimit.sliding import spent

DAY = 86_400
KEY = "{replika-broker}:a:86400"


def claim(amount: int, *, cost: int = 1, seconds: int = DAY) -> Claim:
    return Claim("a", (Window(amount, seconds),), cost)


def now_ms(valkey) -> int:
    seconds, microseconds = valkey.ask("TIME")
    return seconds * 1000 + microseconds // 1000


async def test_brokers_share_what_is_counted(open_redis):
    async with open_redis() as one, open_redis() as other:
        assert (await one.take([claim(2)]))[0]
        assert (await other.take([claim(2)]))[0]
        assert not (await one.take([claim(2)]))[0]


async def test_a_key_is_gone_after_two_windows(open_redis, valkey):
    async with open_redis() as counters:
        await counters.take([Claim("a", (Window(5, 60), Window(9, DAY)), 1)])

    assert 119_000 < valkey.ask("PTTL", "{replika-broker}:a:60") <= 120_000
    assert 2 * DAY * 1000 - 1000 < valkey.ask("PTTL", KEY) <= 2 * DAY * 1000


async def test_what_is_refused_is_written_nowhere(open_redis, valkey):
    async with open_redis() as counters:
        await counters.take([claim(1, cost=2)])

    assert valkey.ask("EXISTS", KEY) == 0


async def test_every_key_is_on_the_same_node_of_a_cluster(open_redis, valkey):
    async with open_redis() as counters:
        for name in ("a", "{b}", "}c{"):
            await counters.take([Claim(name, (Window(5, 60), Window(5, 61)), 1)])

    keys = valkey.ask("KEYS", "*")
    assert len(keys) == 7, "these, and what is taken to try whether it can be"
    assert {key_slot(key) for key in keys} == {key_slot(KEY_PREFIX.encode())}


async def test_the_time_is_that_of_the_server(open_redis, valkey):
    async with open_redis() as counters:
        before = now_ms(valkey)
        _, [count] = await counters.take([claim(1)])
        after = now_ms(valkey)

    assert count.elapsed_ms in [time % (DAY * 1000) for time in range(before, after + 1)]


@pytest.mark.parametrize(
    ("ago", "expected"),
    [
        (0, (4, 7)),  # the same window
        (1, (7, 0)),  # the one before
        (2, (0, 0)),  # long over
        (-1, (4, 7)),  # a window to come: another server's clock was ahead
    ],
)
async def test_windows_follow_each_other(open_redis, valkey, ago, expected):
    async with open_redis() as counters:
        number = now_ms(valkey) // (DAY * 1000)
        valkey.ask("SET", KEY, f"{number - ago} 7 4")
        _, [count] = await counters.take([claim(1_000)])

    assert (count.previous, count.current - 1) == expected
    assert (count.elapsed_ms == 0) == (ago == -1)


async def test_it_takes_what_the_arithmetic_of_this_plugin_would_take(open_redis, valkey):
    draw = random.Random(5)
    answers = set()
    async with open_redis() as counters:
        for _ in range(300):
            window = Window(draw.randint(1, 20), draw.choice([1, 7, 3600, DAY]))
            cost, previous, current = draw.randint(1, 5), draw.randint(0, 20), draw.randint(0, 20)
            number = now_ms(valkey) // window.milliseconds
            key = f"{KEY_PREFIX}:a:{window.seconds}"
            valkey.ask("SET", key, f"{number} {current} {previous}")
            taken, [count] = await counters.take([Claim("a", (window,), cost)])
            before = Count(count.previous, count.current - taken * cost, count.elapsed_ms)

            assert taken == (spent(window, before) + cost <= window.amount), (window, before, cost)
            answers.add(taken)

    assert answers == {True, False}


@pytest.mark.parametrize("command", ["SET", "LPUSH", "SADD"])
async def test_whatever_stands_at_a_key_is_overwritten(open_redis, valkey, command):
    async with open_redis() as counters:
        valkey.ask(command, KEY, "what is this?")

        assert (await counters.take([claim(1)]))[1][0].current == 1


@pytest.mark.parametrize("command", ["SCRIPT FLUSH", "FLUSHALL"])
async def test_a_server_that_forgot_is_told_again(open_redis, valkey, command):
    async with open_redis() as counters:
        await counters.take([claim(5)])
        valkey.ask(command)

        assert (await counters.take([claim(5)]))[0]
        assert valkey.ask("EXISTS", KEY) == 1


async def test_a_server_is_told_the_script_only_once(open_redis, valkey):
    async with open_redis() as counters:
        for _ in range(3):
            await counters.take([claim(5)])

    # One of them is the trial when it was opened.
    statistics = valkey.ask("INFO", "commandstats")
    assert statistics["cmdstat_eval"]["calls"] == 1
    assert statistics["cmdstat_evalsha"]["calls"] == 4


async def test_many_at_once_are_asked_for_together_over_one_connection(open_redis, valkey):
    async with open_redis() as counters:
        takes = [counters.take([claim(250)]) for _ in range(MAX_TOGETHER + 100)]
        answers = await asyncio.gather(*takes)
        clients = valkey.ask("CLIENT LIST", "TYPE", "NORMAL")

    assert [taken for taken, _ in answers] == [True] * 250 + [False] * 50
    assert [count.current for _, [count] in answers] == [*range(1, 251)] + [250] * 50
    assert len([client for client in clients if client["cmd"].startswith("eval")]) == 1
    # The trial when it was opened, then twice for all of these.
    assert valkey.ask("INFO", "commandstats")["cmdstat_evalsha"]["calls"] == 3


async def test_each_of_those_who_ask_together_takes_all_or_nothing(open_redis):
    async with open_redis() as counters:
        answers = await asyncio.gather(
            counters.take([claim(2), Claim("b", (Window(1, 60),), 1)]),
            counters.take([claim(2), Claim("b", (Window(1, 60),), 1)]),
            counters.take([claim(2)]),
        )

    assert [(taken, [count.current for count in counts]) for taken, counts in answers] == [
        (True, [1, 1]),
        (False, [1, 1]),
        (True, [2]),
    ]


async def test_who_waits_for_the_next_question_does_not_wait_for_another_answer(open_redis, valkey):
    async with open_redis() as counters:
        valkey.kill()
        asked = 0

        async def count(*_):
            nonlocal asked
            asked += 1
            await asyncio.sleep(0)
            raise ConnectionError("gone")

        counters._run = count
        takes = [counters.take([claim(5)]) for _ in range(3 * MAX_TOGETHER)]
        answers = await asyncio.gather(*takes, return_exceptions=True)

    assert {str(answer) for answer in answers} == {"gone"}
    assert asked == 1


async def test_who_is_cancelled_takes_nothing_from_those_who_ask_beside(open_redis):
    async with open_redis() as counters:
        first, second = [asyncio.ensure_future(counters.take([claim(5)])) for _ in range(2)]
        await asyncio.sleep(0)
        first.cancel()

        assert (await second)[0]


async def test_closing_ends_what_is_asked(open_redis, valkey, patience):
    patience(60)
    async with open_redis() as counters:
        valkey.pause()
        take = asyncio.ensure_future(counters.take([claim(5)]))
        await asyncio.sleep(0)
        await counters.close()
        with pytest.raises(ConnectionError, match="^closed$"):
            await take
        valkey.go_on()


async def test_closing_leaves_no_connection(open_redis, valkey):
    async with open_redis() as counters:
        await asyncio.gather(*(counters.take([claim(50)]) for _ in range(50)))

    with valkey.client as client:
        # It hears of a closed connection a moment later.
        while len(client.client_list()) > 1:
            pass


async def test_closing_is_harmless_twice_and_without_opening(valkey):
    counters = RedisCounters(valkey.url)
    await counters.close()
    await counters.open()
    await counters.close()
    await counters.close()


async def test_a_server_that_stands_still_is_not_waited_for(open_redis, valkey, patience):
    async with open_redis() as counters:
        valkey.pause()
        patience(TIMEOUT_SECONDS)
        takes = [counters.take([claim(5)]) for _ in range(100)]
        answers = await asyncio.gather(*takes, return_exceptions=True)
        valkey.go_on()
        patience(60)

        assert all(isinstance(answer, OSError) for answer in answers)
        await counters.try_again()
        assert (await counters.take([claim(1_000)]))[0]


async def test_a_server_that_is_gone_is_an_error_of_the_system(open_redis, valkey):
    async with open_redis() as counters:
        valkey.kill()
        with pytest.raises(OSError):
            await counters.take([claim(5)])
        valkey.start()
        await counters.try_again()

        assert (await counters.take([claim(5)]))[0]


async def test_a_connection_that_does_not_end_keeps_nobody_from_asking_again(
    open_redis, monkeypatch
):
    async def fail():
        raise redis.TimeoutError("Timed out closing connection after 0.25")

    async with open_redis() as counters:
        monkeypatch.setattr(counters._client, "aclose", fail)
        await counters.try_again()

        assert (await counters.take([claim(5)]))[0]
        monkeypatch.undo()


async def test_a_connection_that_was_cut_in_the_meantime_is_replaced(open_redis, valkey):
    async with open_redis() as counters:
        await counters.take([claim(5)])
        with valkey.client as client:
            client.execute_command("CLIENT KILL", "TYPE", "NORMAL")
            while len(client.client_list()) > 1:
                pass
        for _ in range(2):
            await asyncio.sleep(0)  # the loop looks at its sockets

        assert (await counters.take([claim(5)]))[0]


async def test_a_replica_is_an_error_of_the_system(open_redis, valkey):
    async with open_redis() as counters:
        valkey.ask("REPLICAOF", valkeys.HOST, valkeys.free_port())
        with pytest.raises(OSError, match="read only replica"):
            await counters.take([claim(5)])


async def test_a_server_without_memory_is_an_error_of_the_system(open_redis, valkey):
    async with open_redis() as counters:
        valkey.ask("CONFIG SET", "maxmemory", "1")
        with pytest.raises(OSError, match="maxmemory"):
            await counters.take([claim(5)])


@pytest.mark.parametrize("nodes", [1, 3])
async def test_it_counts_in_a_cluster(start_valkey, tmp_path: Path, nodes):
    with valkeys.cluster(tmp_path, nodes=nodes) as servers:
        for server in servers:
            counters = RedisCounters(f"redis+cluster://{server.address}")
            await counters.open()
            limits = [claim(2 * nodes), Claim("b", (Window(9, 60), Window(9, DAY)), 1)]
            for _ in range(2):
                assert (await counters.take(limits))[0]
            await counters.close()

        held = [server.ask("DBSIZE") for server in servers]
        assert sorted(held) == [0] * (nodes - 1) + [max(held)]


async def test_it_finds_the_server_that_sentinels_chose(start_valkey, tmp_path: Path):
    first, second = start_valkey(), start_valkey()
    second.ask("REPLICAOF", valkeys.HOST, first.port)
    with Sentinel(tmp_path, first) as sentinel:
        counters = RedisCounters(sentinel.url)
        await counters.open()
        assert (await counters.take([claim(5)]))[0]
        sentinel.wait_for("+slave slave")
        first.kill()
        with pytest.raises(OSError):
            await counters.take([claim(5)])
        sentinel.wait_for("+switch-master")

        await counters.try_again()
        assert (await counters.take([claim(5)]))[0]
        assert second.ask("EXISTS", KEY) == 1
        await counters.close()


def test_the_script_is_part_of_what_is_installed():
    assert "KEYS" in TAKE
