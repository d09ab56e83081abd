"""What a node tells while Redis is away, and what it tells when that is back."""

import asyncio
import logging

import pytest
import valkeys
from proxy import Proxy
from redis_nodes import KEYS, Node, opened

from broker import ConfigError

LOST, RETURNED, ENDED = "redis-lost", "redis-returned", "order-ended"


@pytest.fixture(autouse=True)
def retry_soon(monkeypatch):
    """Do not wait a second between the tries."""
    monkeypatch.setattr("broker_sse.redis_log.RETRY_MS", 10)


async def lost(*nodes):
    for node in nodes:
        await node.listener.until(lambda told: LOST in told)


async def returned(*nodes):
    for node in nodes:
        await node.listener.until(lambda told: RETURNED in told)


def since_the_return(node):
    """Return what was told since then, without the gap that was."""
    told = node.listener.told
    return [one for one in told[told.index(RETURNED) + 1 :] if one != ENDED]


class Killed:
    def begin(self, valkey, patience):
        valkey.kill()

    def end(self, valkey):
        valkey.start()


class Stopped:
    def begin(self, valkey, patience):
        patience(0.1)
        valkey.pause()

    def end(self, valkey):
        valkey.go_on()


class ReadOnly:
    def begin(self, valkey, patience):
        valkey.ask("REPLICAOF", "127.0.0.1", valkeys.free_port())
        valkey.ask("CLIENT", "KILL", "TYPE", "NORMAL")

    def end(self, valkey):
        valkey.ask("REPLICAOF", "NO", "ONE")


class Full:
    def begin(self, valkey, patience):
        valkey.ask("CONFIG", "SET", "maxmemory", "1")

    def end(self, valkey):
        valkey.ask("CONFIG", "SET", "maxmemory", "0")


class Forbidden:
    def begin(self, valkey, patience):
        valkey.ask("ACL", "SETUSER", "default", "-evalsha", "-eval")

    def end(self, valkey):
        valkey.ask("ACL", "SETUSER", "default", "+evalsha", "+eval")


OUTAGES = [Killed(), Stopped(), ReadOnly(), Full(), Forbidden()]


@pytest.mark.parametrize("outage", OUTAGES, ids=lambda outage: type(outage).__name__)
async def test_events_go_on_here_while_redis_is_away(valkey, patience, outage):
    a, b = Node(valkey.url), Node(valkey.url)
    async with opened(a, b):
        a.tell("before")
        await a.listener.until_told("before")
        await b.listener.until_told("before")

        outage.begin(valkey, patience)
        a.tell("lost on its way")
        b.tell("b's, lost on its way")
        await lost(a, b)
        a.tell("meanwhile")
        b.tell("b's")
        assert a.listener.queues == ["before", "lost on its way", "meanwhile"]
        assert b.listener.queues == ["before", "b's, lost on its way", "b's"]

        outage.end(valkey)
        await returned(a, b)
        a.tell("after", "that")
        await a.listener.until_told("after", "that")
        await b.listener.until_told("after", "that")

    shared, *alone = (entry.id.epoch for entry in a.listener.entries[:3])
    assert shared not in alone
    assert alone[0] == alone[1]
    assert a.listener.told[1] == b.listener.told[1] == LOST, "before what is told alone"
    assert since_the_return(a)[-2:] == since_the_return(b)[-2:]
    assert a.listener.told[-1].id.epoch not in (shared, *alone)
    assert set(a.listener.gaps) == {LOST, RETURNED, ENDED}
    assert a.listener.queues.count("lost on its way") == 1


async def test_every_event_of_a_node_is_told_there_once_whenever_redis_goes(start_valkey):
    valkey = start_valkey("--appendonly", "yes", "--appendfsync", "always")
    a = Node(valkey.url)
    told = 0
    async with opened(a):
        for _ in range(6):
            gaps = a.listener.gaps.count(RETURNED)
            killing = asyncio.create_task(asyncio.to_thread(valkey.kill))
            while not killing.done() or a.listener.gaps.count(LOST) == gaps:
                a.tell(str(told))
                told += 1
                await asyncio.sleep(0)
            await asyncio.to_thread(valkey.start)
            await a.listener.until(lambda told, gaps=gaps: told.count(RETURNED) == gaps + 1)
        a.tell("last")
        await a.listener.until_told("last")

    assert sorted(a.listener.queues[:-1], key=int) == [str(number) for number in range(told)]


async def test_a_node_that_had_nothing_to_tell_alone_misses_nothing(valkey):
    a, b = Node(valkey.url), Node(valkey.url)
    async with opened(a, b), Proxy(valkey.port) as proxy:
        c = Node(f"redis://{proxy.address}")
        async with opened(c):
            a.tell("before")
            await c.listener.until_told("before")
            proxy.cut()
            await lost(c)
            a.tell("meanwhile")
            await b.listener.until_told("meanwhile")
            proxy.mend()
            await c.listener.until_told("meanwhile")
            b.tell("after")
            await c.listener.until_told("after")
            await b.listener.until_told("after")

    assert b.listener.gaps == []
    assert c.listener.gaps == [LOST, RETURNED]
    assert c.listener.entries == b.listener.entries


async def test_a_node_that_told_something_alone_ends_the_order_for_all(valkey):
    b = Node(valkey.url)
    async with opened(b), Proxy(valkey.port) as proxy:
        c = Node(f"redis://{proxy.address}")
        async with opened(c):
            b.tell("before")
            await c.listener.until_told("before")
            proxy.cut()
            await lost(c)
            c.tell("alone")
            b.tell("without c")
            await b.listener.until_told("without c")
            proxy.mend()
            await b.listener.until_gap(ENDED)
            c.tell("after")
            await c.listener.until_told("after")
            await b.listener.until_told("after")

    assert b.listener.queues == ["before", "without c", "after"]
    assert c.listener.queues == ["before", "alone", "without c", "after"]
    assert b.listener.entries[-1] == c.listener.entries[-1]


@pytest.mark.parametrize("outage", [Killed(), Stopped()], ids=["killed", "stopped"])
async def test_an_idle_node_notices_too(valkey, patience, outage):
    a = Node(valkey.url)
    async with opened(a):
        outage.begin(valkey, patience)
        await lost(a)
        outage.end(valkey)
        await returned(a)


async def test_what_happens_while_a_node_tries_in_vain_is_told(valkey, monkeypatch):
    a = Node(valkey.url)
    async with opened(a):

        async def fail(*, anew):
            a.tell("meanwhile")
            raise OSError("not yet")

        with monkeypatch.context() as patch:
            patch.setattr(a.log._order, "join", fail)
            valkey.ask("CLIENT", "KILL", "TYPE", "NORMAL")
            await a.listener.until_told("meanwhile", "meanwhile")

    assert a.listener.gaps[0] == LOST


async def test_a_redis_that_is_slow_is_away(valkey, patience):
    async with Proxy(valkey.port) as proxy:
        a = Node(f"redis://{proxy.address}")
        async with opened(a):
            patience(0.1)
            proxy.delay_seconds = 2
            a.tell("late")
            await lost(a)
            await a.listener.until_told("late")
            proxy.delay_seconds = 0
            await returned(a)


async def test_a_redis_that_was_started_anew_keeps_another_order_though_it_has_its_data(
    start_valkey,
):
    valkey = start_valkey("--appendonly", "yes", "--appendfsync", "always")
    a, b = Node(valkey.url), Node(valkey.url)
    async with opened(a, b):
        a.tell("before")
        await b.listener.until_told("before")
        valkey.kill()
        await lost(a, b)
        valkey.start()
        await returned(a, b)
        b.tell("after")
        await a.listener.until_told("after")
        await b.listener.until_told("after")
        kept = valkey.ask("XLEN", KEYS[1])

    [_, after] = a.listener.entries
    assert (kept, after.id.sequence) == (2, 1)
    assert a.listener.gaps == [LOST, RETURNED, ENDED]


async def test_a_redis_that_loads_its_data_is_away(start_valkey, caplog):
    valkey = start_valkey("--enable-debug-command", "local")
    valkey.ask("DEBUG", "POPULATE", "2000")
    valkey.ask("SAVE")
    a = Node(valkey.url)
    async with opened(a):
        valkey.kill()
        await lost(a)
        slowly = ("--key-load-delay", "1000", "--loading-process-events-interval-bytes", "1024")
        valkey.start(*slowly, ready="Loading RDB")
        while not any("is loading the dataset" in line for line in caplog.messages):
            await asyncio.sleep(0)
        a.tell("meanwhile")
        assert a.listener.queues == ["meanwhile"]
        valkey.ask("CONFIG SET", "key-load-delay", "0")
        await returned(a)
        a.tell("after")
        await a.listener.until_told("after")


async def test_a_node_starts_without_redis_and_joins_it_later(start_valkey, caplog):
    valkey = start_valkey()
    before = Node(valkey.url)
    async with opened(before):
        before.tell("of long ago")
        await before.listener.until_told("of long ago")
    valkey.kill()
    a = Node(valkey.url)
    async with opened(a):
        [notice] = await a.log.notices()
        a.tell("alone")
        assert a.listener.queues == ["alone"]
        valkey.start()
        await returned(a)
        a.tell("after")
        await a.listener.until_told("after")
        back = await a.log.notices()

    assert notice.startswith(f"Redis at {valkey.address} passes no events on (")
    assert notice.endswith("; until it does, this broker tells of its own alone")
    assert back == [f"events travel through Redis at {valkey.address}"]
    assert notice in caplog.messages
    assert a.listener.gaps == [RETURNED]


async def test_what_happened_while_a_node_could_not_start_with_redis_is_not_news(valkey, patience):
    a = Node(valkey.url)
    async with opened(a):
        a.tell("of before")
        await a.listener.until_told("of before")
        patience(0.1)
        valkey.pause()
        b = Node(valkey.url)
        async with opened(b):
            valkey.go_on()
            patience(60)
            await returned(b)
            b.tell("new")
            await b.listener.until_told("new")

    assert b.listener.queues == ["new"]


async def test_only_so_many_events_are_on_their_way(valkey, monkeypatch):
    monkeypatch.setattr("broker_sse.redis_log.MOST_ON_THEIR_WAY", 1_000)
    a = Node(valkey.url)
    async with opened(a):
        a.tell(*map(str, range(1_500)))
        await lost(a)
        assert a.listener.queues == [str(number) for number in range(1_500)]
        await returned(a)
        a.tell("after")
        await a.listener.until_told("after")


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("redis://:wrong@{address}", "refuses the user name or the password ("),
        ("redis://{address}", "refuses the user name or the password ("),
        ("redis://:secret@{address}/99", "has no such database ("),
    ],
)
async def test_what_never_will_be_right_ends_the_start(start_valkey, url, problem):
    valkey = start_valkey(password="secret")
    node = Node(url.format(address=valkey.address))
    with pytest.raises(ConfigError) as caught:
        await node.log.open()
    await node.log.close()

    text = str(caught.value)
    assert text.startswith(f"plugins.sse.redis_url: {valkey.address} {problem}")
    assert "wrong" not in text
    assert "secret" not in text


async def test_a_key_that_others_use_ends_the_start(valkey):
    valkey.ask("SET", KEYS[0], "other")
    with pytest.raises(ConfigError, match="holds something else there; set redis_prefix"):
        async with opened(Node(valkey.url)):
            pass


async def test_what_is_no_redis_ends_the_start(patience):
    async def answer(reader, writer):
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(ConfigError, match="answers, but not as Redis or Valkey does"):
        async with opened(Node(f"redis://127.0.0.1:{port}")):
            pass
    server.close()
    await server.wait_closed()


async def test_a_password_that_is_not_right_any_more_is_said(start_valkey, caplog):
    valkey = start_valkey(password="secret")
    a = Node(valkey.url)
    async with opened(a):
        with valkey.client as client:
            client.execute_command("CONFIG SET", "requirepass", "another")
            client.execute_command("CLIENT KILL", "TYPE", "NORMAL", "SKIPME", "yes")
        await lost(a)
        while not any("invalid username-password" in line for line in caplog.messages):
            await asyncio.sleep(0)


async def test_a_log_that_is_closed_twice_or_was_not_opened_does_no_harm(valkey):
    node = Node(valkey.url)
    await node.log.close()
    await node.log.open()
    await node.log.close()
    await node.log.close()


async def test_whatever_breaks_is_logged_and_events_go_on(valkey, caplog, monkeypatch):
    a = Node(valkey.url)
    async with opened(a):

        def fail(*_):
            raise ValueError("a mistake of ours")

        with monkeypatch.context() as patch:
            patch.setattr("broker_sse.redis_reader.read_crossing", fail)
            a.tell("before")
            await lost(a)
        await returned(a)
        a.tell("after")
        await a.listener.until_told("after")

    assert a.listener.queues == ["before", "after"]
    assert [record.message for record in caplog.records if record.levelno == logging.ERROR] == [
        "the order in Redis could not be followed"
    ]
