"""Tickets of several nodes, by a real Valkey."""

import asyncio

import pytest

from broker import Credentials, Identity
from broker.testing import ManualClock
from broker_sse import tickets as tickets_module
from broker_sse.redis_link import RedisLink
from broker_sse.redis_tickets import RETRY_MS, RedisTickets
from broker_sse.tickets import MOST_EACH, InvalidTicket, TooManyTickets

ANN = Identity(subject="ann")
BEARER = Credentials(scheme="bearer", token="t0p-secret", peer="192.0.2.1")


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def make(clock):
    """Make the tickets of one more node: `make(url)`."""
    return lambda url, prefix="test": RedisTickets(clock, url, prefix=prefix)


async def test_a_ticket_of_one_node_is_taken_once_by_another(make, valkey):
    a, b, c = (make(valkey.url) for _ in range(3))
    ticket = await a.issue(ANN, BEARER)

    assert await b.redeem(ticket) == BEARER
    for node in (a, b, c):
        with pytest.raises(InvalidTicket):
            await node.redeem(ticket)


async def test_the_node_that_gave_a_ticket_takes_it_too(make, valkey):
    a = make(valkey.url)

    assert await a.redeem(await a.issue(ANN, BEARER)) == BEARER
    assert await a.redeem(await a.issue(ANN, None)) is None


@pytest.mark.parametrize("text", ["", "x", "x" * 42, "x" * 44, "*" * 43, "é" * 43])
async def test_redis_is_not_asked_about_what_can_be_no_ticket(make, valkey, monkeypatch, text):
    a = make(valkey.url)
    monkeypatch.setattr(RedisLink, "open", lambda _: pytest.fail("Redis was asked"))

    with pytest.raises(InvalidTicket):
        await a.redeem(text)


async def test_of_many_who_use_a_ticket_at_once_one_succeeds(make, valkey):
    nodes = [make(valkey.url) for _ in range(5)]
    ticket = await nodes[0].issue(ANN, BEARER)

    answers = await asyncio.gather(
        *(node.redeem(ticket) for node in nodes for _ in range(4)), return_exceptions=True
    )

    assert answers.count(BEARER) == 1
    assert sum(isinstance(answer, InvalidTicket) for answer in answers) == 19


async def test_what_redis_keeps_lets_nobody_in_and_is_gone_after_30_seconds(make, valkey):
    a = make(valkey.url)
    ticket = await a.issue(ANN, BEARER)

    [name] = valkey.ask("KEYS", "*")
    kept = valkey.ask("GET", name)
    assert 0 < valkey.ask("PTTL", name) <= 30_000
    assert name.startswith(b"{test}:ticket:")
    for secret in (ticket.encode(), b"t0p-secret"):
        assert secret not in name
        assert secret not in kept


async def test_a_ticket_that_redis_forgot_opens_nothing(make, valkey):
    a = make(valkey.url)
    ticket = await a.issue(ANN, BEARER)
    valkey.ask("FLUSHALL")

    with pytest.raises(InvalidTicket):
        await a.redeem(ticket)


async def test_what_others_put_there_opens_nothing(make, valkey):
    a = make(valkey.url)
    ticket = await a.issue(ANN, BEARER)
    [name] = valkey.ask("KEYS", "*")
    valkey.ask("SET", name, "\x92forged")

    with pytest.raises(InvalidTicket):
        await a.redeem(ticket)


@pytest.mark.parametrize("ticket", ["", "x", "\udcff", "é", "x" * 16_000])
async def test_what_is_no_ticket_opens_nothing(make, valkey, ticket):
    a = make(valkey.url)
    with pytest.raises(InvalidTicket):
        await a.redeem(ticket)


async def test_nodes_with_another_prefix_take_no_tickets_of_each_other(make, valkey):
    a, b = make(valkey.url), make(valkey.url, prefix="other")
    ticket = await a.issue(ANN, BEARER)

    with pytest.raises(InvalidTicket):
        await b.redeem(ticket)


async def test_while_redis_is_away_a_node_takes_what_it_gave_meanwhile(make, start_valkey, clock):
    valkey = start_valkey()
    a, b = make(valkey.url), make(valkey.url)
    before = await a.issue(ANN, BEARER)
    valkey.kill()
    meanwhile = [await a.issue(ANN, BEARER) for _ in range(2)]

    assert await a.redeem(meanwhile[0]) == BEARER
    with pytest.raises(InvalidTicket):
        await a.redeem(meanwhile[0])
    for node, ticket in ((a, before), (b, meanwhile[1])):
        with pytest.raises(InvalidTicket):
            await node.redeem(ticket)

    valkey.start()
    assert await a.redeem(meanwhile[1]) == BEARER, "it is still here"
    clock.advance(RETRY_MS / 1000)
    assert await b.redeem(await a.issue(ANN, BEARER)) == BEARER


async def test_a_ticket_that_redis_has_without_having_said_so_is_taken_once(
    make, valkey, clock, monkeypatch
):
    ask = RedisLink.ask

    async def ask_in_vain(link, *command):
        await ask(link, *command)
        raise TimeoutError

    a, b = make(valkey.url), make(valkey.url)
    with monkeypatch.context() as patch:
        patch.setattr(RedisLink, "ask", ask_in_vain)
        ticket = await a.issue(ANN, BEARER)
    assert valkey.ask("DBSIZE") == 1
    clock.advance(RETRY_MS / 1000)

    assert await a.redeem(ticket) == BEARER
    for node in (a, b):
        with pytest.raises(InvalidTicket):
            await node.redeem(ticket)


async def test_a_redis_that_does_not_answer_is_asked_once_in_a_second(make, clock):
    connected = []

    async def hang_up(reader, writer):
        connected.append(1)
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    a = make(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    await asyncio.gather(*(a.issue(ANN, BEARER) for _ in range(MOST_EACH - 1)))
    assert len(connected) == 1
    clock.advance(RETRY_MS / 1000)
    await a.issue(ANN, BEARER)
    assert len(connected) == 2
    server.close()
    await server.wait_closed()


async def test_a_node_gives_only_so_many(make, valkey, clock, monkeypatch):
    monkeypatch.setattr(tickets_module, "MOST_EACH", 2)
    a, b = make(valkey.url), make(valkey.url)
    first, second = [await a.issue(ANN, BEARER) for _ in range(2)]
    with pytest.raises(TooManyTickets):
        await a.issue(ANN, BEARER)

    await a.redeem(first)
    await b.redeem(second)
    await a.issue(ANN, BEARER)
    with pytest.raises(TooManyTickets):
        await a.issue(ANN, BEARER)
    clock.advance(30)
    await a.issue(ANN, BEARER)
