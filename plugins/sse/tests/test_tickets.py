"""Tickets: good once, for half a minute, for whoever asked; and never many."""

import pytest

from broker import Credentials, Identity
from broker.testing import ManualClock
from broker_sse import tickets as tickets_module
from broker_sse.tickets import MOST_EACH, InvalidTicket, LocalTickets, TooManyTickets

ANN = Identity(subject="ann")
BEARER = Credentials(scheme="bearer", token="t0p-secret", peer="192.0.2.1")


def nobody(peer):
    return Identity(subject="anonymous", is_anonymous=True, peer=peer)


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def tickets(clock):
    return LocalTickets(clock)


async def test_a_ticket_stands_for_the_credentials_that_asked_for_it_once(tickets):
    ticket = await tickets.issue(ANN, BEARER)

    assert await tickets.redeem(ticket) == BEARER
    with pytest.raises(InvalidTicket):
        await tickets.redeem(ticket)


async def test_a_ticket_of_nobody_stands_for_no_credentials(tickets):
    assert await tickets.redeem(await tickets.issue(nobody("192.0.2.1"), None)) is None


@pytest.mark.parametrize("ticket", ["", "x", "\udcff", "é", "x" * 16_000])
async def test_what_is_no_ticket_opens_nothing(tickets, ticket):
    await tickets.issue(ANN, BEARER)

    with pytest.raises(InvalidTicket):
        await tickets.redeem(ticket)


async def test_a_ticket_is_good_for_less_than_30_seconds(tickets, clock):
    first, second = [await tickets.issue(ANN, BEARER) for _ in range(2)]

    clock.advance(29.999)
    assert await tickets.redeem(first) == BEARER
    clock.advance(0.001)
    with pytest.raises(InvalidTicket):
        await tickets.redeem(second)


async def test_a_ticket_has_256_random_bits_and_a_digest_is_all_that_is_kept_of_it(tickets):
    made = {await tickets.issue(ANN, BEARER) for _ in range(MOST_EACH)}

    assert len(made) == MOST_EACH
    assert {len(ticket) for ticket in made} == {43}  # 6 bits each
    kept = repr(vars(tickets))
    assert [ticket for ticket in made if ticket in kept] == []


async def test_an_identity_has_so_many_unused_tickets_and_others_have_theirs(tickets, clock):
    made = [await tickets.issue(ANN, BEARER) for _ in range(MOST_EACH)]
    with pytest.raises(TooManyTickets):
        await tickets.issue(ANN, BEARER)

    await tickets.issue(Identity(subject="ben"), BEARER)
    await tickets.redeem(made[3])
    await tickets.issue(ANN, BEARER)
    with pytest.raises(TooManyTickets):
        await tickets.issue(ANN, BEARER)
    clock.advance(30)
    await tickets.issue(ANN, BEARER)


async def test_who_shows_no_credentials_is_an_address(tickets):
    for number in range(MOST_EACH):
        await tickets.issue(nobody(f"2001:db8::{number}"), None)

    with pytest.raises(TooManyTickets):
        await tickets.issue(nobody("2001:db8::ffff"), None)
    await tickets.issue(nobody("2001:db9::1"), None)
    await tickets.issue(Identity(subject="2001:db8::/64"), BEARER)


async def test_there_are_so_many_tickets_in_all_and_nothing_stays_of_those_that_are_over(
    tickets, clock, monkeypatch
):
    monkeypatch.setattr(tickets_module, "MOST", 100)
    for number in range(100):
        await tickets.issue(Identity(subject=f"user{number}"), BEARER)
    with pytest.raises(TooManyTickets):
        await tickets.issue(ANN, BEARER)

    clock.advance(30)

    await tickets.redeem(await tickets.issue(ANN, BEARER))
    assert (tickets._unused, tickets._counts) == ({}, {})
