"""One order on several nodes, by a real Valkey."""

import asyncio
import random
import re
from pathlib import Path

import pytest
from redis_nodes import HISTORY, KEYS, Node, opened

from broker import Clock, Identity
from broker_sse.entry import EventId
from broker_sse.redis_tickets import RedisTickets


def sequences(node):
    """Return where the node's events stand in the order, which is the same for all of them."""
    [_] = {entry.id.epoch for entry in node.listener.entries}
    return [entry.id.sequence for entry in node.listener.entries]


async def test_every_node_tells_of_all_events_in_one_order(valkey):
    a, b, c = (Node(valkey.url) for _ in range(3))
    async with opened(a, b, c):
        for number in range(20):
            a.tell(f"a{number}")
            b.tell(f"b{number}", f"b{number}'")
        for node in (a, b, c):
            await node.listener.until(lambda told: len(told) == 60)

    assert a.listener.told == b.listener.told == c.listener.told
    assert a.listener.gaps == []
    assert sequences(a) == list(range(1, 61))
    assert [queue for queue in a.listener.queues if queue[0] == "a"] == [f"a{n}" for n in range(20)]


async def test_a_node_that_starts_later_knows_what_happened_before(valkey):
    a, b = Node(valkey.url), Node(valkey.url, history=30)
    async with opened(a):
        a.tell(*map(str, range(250)))
        await a.listener.until_told("249")
        async with opened(b):
            assert b.hub.history.newest == a.hub.history.newest
            assert b.listener.told == [], "it is history"
            history = b.history
            a.tell("next")
            await b.listener.until_told("next")

    assert history == a.listener.entries[220:250]
    assert b.listener.told == a.listener.told[250:]


async def test_the_order_goes_on_when_all_nodes_were_gone(valkey):
    a, b = Node(valkey.url), Node(valkey.url)
    async with opened(a):
        a.tell("a")
        await a.listener.until_told("a")
    async with opened(b):
        b.tell("b")
        await b.listener.until_told("b")

    [before], [after] = a.listener.entries, b.listener.entries
    assert after.id == EventId(before.id.epoch, 2)
    assert [entry.event.queue for entry in b.history] == ["a", "b"]


async def test_nodes_with_another_prefix_are_others(valkey):
    a, b = Node(valkey.url), Node(valkey.url, prefix="other")
    async with opened(a, b):
        a.tell("a")
        await a.listener.until_told("a")
        b.tell("b")
        await b.listener.until_told("b")

    assert (a.listener.queues, b.listener.queues) == (["a"], ["b"])


async def test_neither_bodies_nor_names_of_people_cross(valkey):
    a, b = Node(valkey.url), Node(valkey.url)
    async with opened(a, b):
        a.tell("q", kind="message.dead_lettered", peer="192.0.2.1", message_id=7, state="pending")
        await b.listener.until_told("q")
        [(_, fields)] = valkey.ask("XRANGE", KEYS[1], "-", "+")

    [entry] = b.listener.entries
    assert (entry.event.message_id, entry.event.state) == (7, "pending")
    assert (entry.event.subject, entry.event.peer) == ("", "")
    assert b"who" not in fields[b"1"]
    assert b"192.0.2.1" not in fields[b"1"]
    assert len(fields[b"1"]) < 100


async def test_what_happened_on_another_node_wakes_who_waits_here(valkey):
    a, b = Node(valkey.url), Node(valkey.url)
    async with opened(a, b):
        a.tell("q1", "q2")
        a.tell("q3", kind="queue.updated")
        a.tell("q4", kind="message.leased")
        a.tell("q5", kind="message.dead_lettered", moved_to="q6")
        await b.listener.until_told("q5")
        await a.listener.until_told("q5")

    assert b.woken == [("q1", 1), ("q2", 1), ("q3", None), ("q5", 1), ("q6", 1)]
    assert a.woken == [], "the broker itself did that"


async def test_what_other_versions_write_is_skipped_and_said_once(valkey, caplog):
    a, b = Node(valkey.url), Node(valkey.url)
    async with opened(a, b):
        a.tell("before")
        await b.listener.until_told("before")
        epoch = b.hub.history.newest.epoch
        for number, fields in enumerate([("2", "…"), ("1", "no msgpack"), ("1", b"\x01")], 2):
            valkey.ask("HINCRBY", KEYS[0], "sequence", 1)
            valkey.ask("XADD", KEYS[1], f"{epoch}-{number}", *fields)
        a.tell("after")
        await b.listener.until_told("after")
        await a.listener.until_told("after")

    assert b.listener.told == a.listener.told
    assert sequences(b) == [1, 5]
    assert len([line for line in caplog.messages if "another version are skipped" in line]) == 2


@pytest.fixture
def keep_little(monkeypatch):
    """Keep no more in Redis than the history is long."""
    monkeypatch.setattr("broker_sse.redis_order.LEAST_KEPT", 0)


async def test_the_newest_are_kept_in_redis(valkey, keep_little):
    a = Node(valkey.url)
    async with opened(a):
        for number in range(30):
            a.tell(*[str(number)] * 100)
            await a.listener.until_told(str(number))
        kept = valkey.ask("XLEN", KEYS[1])

    assert HISTORY <= kept < HISTORY + 200


def hold_back(node):
    """Let nothing more come to a node, but for what it asked for, until the event is set."""
    read = node.log._reader._order.read
    go_on = asyncio.Event()

    async def wait(place):
        await go_on.wait()
        return await read(place)

    node.log._reader._order.read = wait
    return go_on


async def test_a_node_that_reads_too_slowly_sees_a_gap_and_goes_on(valkey, keep_little):
    a, b = Node(valkey.url), Node(valkey.url)
    async with opened(a, b):
        a.tell("first")
        await b.listener.until_told("first")
        # Nothing can come to b for as long as the others are at work.
        go_on = hold_back(b)
        a.tell("second")
        await b.listener.until_told("second")
        for number in range(3_000):
            a.tell(str(number))
            await a.listener.until_told(str(number))
        go_on.set()
        await b.listener.until_told("2999")

    assert b.listener.gaps == ["trimmed"]
    at = b.listener.told.index("trimmed")
    assert b.listener.told[:at] == a.listener.told[:at]
    assert b.listener.told[at + 1 :] == a.listener.told[at - len(b.listener.told) + 1 :]
    assert len(b.listener.told) < 1_500


async def test_a_node_catches_up_with_what_a_client_got_from_another(valkey):
    a, b = Node(valkey.url), Node(valkey.url)
    async with opened(a, b):
        a.tell("first")
        await b.listener.until_told("first")
        go_on = hold_back(b)
        a.tell("second")
        await b.listener.until_told("second")
        a.tell("third")
        await a.listener.until_told("third")
        place = a.hub.history.newest
        reaching = asyncio.create_task(b.log.reach(place))
        await asyncio.sleep(0)
        assert b.hub.history.newest != place
        go_on.set()
        await reaching

        assert b.hub.history.newest == place


async def test_nobody_waits_for_a_place_that_is_never_reached(valkey, monkeypatch):
    monkeypatch.setattr("broker_sse.redis_reader.REACH_SECONDS", 0)
    node = Node(valkey.url)
    async with opened(node):
        node.tell("first")
        await node.listener.until_told("first")
        newest = node.hub.history.newest

        await node.log.reach(EventId(newest.epoch, newest.sequence + 1))
        await node.log.reach(EventId("0", newest.sequence + 1))


@pytest.mark.parametrize("command", ["FLUSHALL", "DEL {test}:order"])
async def test_an_order_that_redis_lost_is_another_one(valkey, command):
    a, b = Node(valkey.url), Node(valkey.url)
    async with opened(a, b):
        a.tell("before")
        await b.listener.until_told("before")
        await a.listener.until_told("before")
        valkey.ask(*command.split())
        b.tell("after")
        await a.listener.until_told("after")
        await b.listener.until_told("after")

    assert a.listener.told == b.listener.told
    before, gap, after = a.listener.told
    assert gap == "order-ended"
    assert after.id.epoch > before.id.epoch
    assert after.id.sequence == 1


async def test_an_order_that_seems_to_be_of_the_past_is_another_one(valkey):
    a, b = Node(valkey.url), Node(valkey.url)
    async with opened(a, b):
        a.tell("before")
        await b.listener.until_told("before")
        run = valkey.ask("HGET", KEYS[0], "run")
        valkey.ask("FLUSHALL")
        # The clock of the server was put back.
        valkey.ask("HSET", KEYS[0], "epoch", "1", "run", run, "sequence", "0")
        a.tell("after")
        await b.listener.until_told("after")
        await a.listener.until_told("after")

    assert a.listener.gaps == b.listener.gaps == ["order-ended"]
    assert str(b.hub.history.newest) == "1-1"


async def test_what_is_no_order_is_replaced_by_one(valkey):
    valkey.ask("HSET", KEYS[0], "epoch", "nonsense", "run", "r", "sequence", "1")
    node = Node(valkey.url)
    async with opened(node):
        node.tell("first")
        await node.listener.until_told("first")

    assert sequences(node) == [1]
    assert valkey.ask("HGET", KEYS[0], "epoch") == node.listener.entries[0].id.epoch.encode()


async def test_a_stream_alone_that_is_lost_is_no_loss_for_those_who_read_it(valkey):
    a, b = Node(valkey.url), Node(valkey.url)
    async with opened(a, b):
        a.tell("before")
        await b.listener.until_told("before")
        valkey.ask("DEL", KEYS[1])
        a.tell("after")
        await b.listener.until_told("after")

    assert b.listener.gaps == []
    assert sequences(b) == [1, 2]


async def test_a_node_that_starts_after_the_stream_was_lost_goes_on_from_where_it_stands(valkey):
    a, b = Node(valkey.url), Node(valkey.url)
    async with opened(a):
        a.tell("before")
        await a.listener.until_told("before")
        valkey.ask("DEL", KEYS[1])
        async with opened(b):
            a.tell("after")
            await b.listener.until_told("after")

    assert b.listener.gaps == []
    assert sequences(b) == [2]


async def test_what_was_not_sent_yet_is_sent_at_the_end(valkey):
    a, b = Node(valkey.url), Node(valkey.url)
    async with opened(b):
        async with opened(a):
            a.tell(*map(str, range(2_000)))
        await b.listener.until_told("1999")


async def test_events_cross_once_and_in_order_whatever_the_batches(valkey):
    draw = random.Random(7)
    nodes = [Node(valkey.url, history=5_000) for _ in range(3)]
    told = {node: 0 for node in nodes}
    async with opened(*nodes):
        while sum(told.values()) < 4_000:
            node = draw.choice(nodes)
            count = draw.choice([1, 1, 1, 2, 7, 700])
            node.tell(*(f"{nodes.index(node)}-{told[node] + n}" for n in range(count)))
            told[node] += count
            if draw.random() < 0.3:
                await asyncio.sleep(0)
        total = sum(told.values())
        for node in nodes:
            await node.listener.until(lambda told: len(told) == total)

    one, *others = (node.listener.told for node in nodes)
    assert all(other == one for other in others)
    for index, node in enumerate(nodes):
        own = [queue for queue in nodes[0].listener.queues if queue.startswith(f"{index}-")]
        assert own == [f"{index}-{number}" for number in range(told[node])]


async def test_a_node_with_nothing_to_send_keeps_its_connection(valkey, monkeypatch):
    monkeypatch.setattr("broker_sse.redis_log.QUIET_SECONDS", 0.001)
    a = Node(valkey.url)
    async with opened(a):
        # One of them is asked with each question for what comes next, once in a second.
        while valkey.ask("INFO", "commandstats").get("cmdstat_hget", {"calls": 0})["calls"] < 10:
            await asyncio.sleep(0)
        a.tell("q")
        await a.listener.until_told("q")


async def test_it_needs_the_rights_that_its_readme_names(valkey):
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    sentence = readme[readme.index("its user needs") : readme.index("on keys that begin with")]
    rights = [f"+{name.lower()}" for name in re.findall("`([A-Z]+)`", sentence)]
    valkey.ask("ACL", "SETUSER", "events", "on", ">secret", "~{test}:*", *rights)
    url = f"redis://events:secret@{valkey.address}"
    a, b = Node(url), Node(url)
    tickets = RedisTickets(Clock(), url, prefix="test")
    async with opened(a, b):
        valkey.ask("SCRIPT", "FLUSH")
        a.tell("q")
        await b.listener.until_told("q")
        ticket = await tickets.issue(Identity(subject="ann"), None)
        kept = valkey.ask("KEYS", "{test}:ticket:*")
        assert await tickets.redeem(ticket) is None

    assert len(kept) == 1
    assert len(rights) == 14
