"""Who asks for a stream, by what they show."""

import pytest

from broker import (
    Authenticator,
    Credentials,
    CrossSite,
    Identity,
    InvalidToken,
    Malformed,
    Request,
    Unauthenticated,
    Unavailable,
)
from broker.builtin.scopes import ScopeAuthorizer
from broker.isolation import Failures
from broker.meter import Counter
from broker.operations.gate import Gate
from broker.testing import ManualClock
from broker_sse.door import Door
from broker_sse.tickets import InvalidTicket, LocalTickets


class Tokens(Authenticator):
    """A token is the name of whose it is."""

    def __init__(self):
        self.known = {"ann", "ben", "eve"}
        self.works = True

    async def authenticate(self, credentials):
        if not self.works:
            raise Unavailable("away")
        if credentials.token in self.known:
            return Identity(subject=credentials.token, peer=credentials.peer)
        return None


class Signatures(Tokens):
    """A signature is the name of whose it is."""

    def read(self, request):
        name = request.headers.get("x-signature")
        return None if name is None else Credentials(scheme="signed", token=name, peer=request.peer)


class Broker(Gate):
    """As much of a broker as a door needs."""

    async def identify_request(self, request):
        return await self.identify(self.read(request), peer=request.peer)


class House:
    def __init__(self, *, anonymous=False):
        self.tokens = Signatures()
        self.tickets = LocalTickets(ManualClock())
        broker = Broker(
            authenticators=[("tokens", self.tokens)],
            authorizer=("scopes", ScopeAuthorizer()),
            limiter=None,
            anonymous=anonymous,
            failures=Failures(ManualClock()),
            rejected=Counter(1),
            credentials_refused=Counter(0),
        )
        self._door = Door(broker, self.tickets)

    async def ticket(self, name):
        credentials = Credentials(scheme="bearer", token=name, peer="192.0.2.1")
        return await self.tickets.issue(Identity(subject=name), credentials)

    async def enter(self, *, bearer=None, cookie=None, query=None, **headers):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if bearer is not None:
            named["authorization"] = f"Bearer {bearer}"
        if cookie is not None:
            named["cookie"] = f"broker_session=bearer%20{cookie}"
        request = Request(
            method="GET", path="/events", headers=named, query=query or {}, peer="192.0.2.7"
        )
        return await self._door.enter(request)

    async def subject(self, **shown):
        identity, _ = await self.enter(**shown)
        assert identity.peer == "192.0.2.7"
        return identity.subject


@pytest.fixture
def house():
    return House()


async def test_a_header_a_cookie_and_a_ticket_open_the_door(house):
    assert await house.subject(bearer="ann") == "ann"
    assert await house.subject(cookie="ben") == "ben"
    assert await house.subject(query={"ticket": [await house.ticket("eve")]}) == "eve"


async def test_what_is_said_outright_counts_before_the_cookie(house):
    assert await house.subject(bearer="ann", cookie="ben") == "ann"
    assert await house.subject(bearer="ann", cookie="nobody") == "ann"
    ticket = await house.ticket("eve")
    assert await house.subject(cookie="ben", query={"ticket": [ticket]}) == "eve"


async def test_a_signed_request_opens_the_door_after_all_else(house):
    assert await house.subject(x_signature="eve") == "eve"
    assert await house.subject(x_signature="eve", cookie="ben") == "ben"
    assert await house.subject(x_signature="eve", bearer="ann") == "ann"


@pytest.mark.parametrize("anonymous", [False, True])
async def test_a_bad_signature_never_becomes_anonymous(anonymous):
    with pytest.raises(Unauthenticated):
        await House(anonymous=anonymous).enter(x_signature="nobody")


async def test_a_ticket_beside_a_header_is_refused_and_stays_good(house):
    ticket = await house.ticket("eve")

    with pytest.raises(Malformed, match="received both"):
        await house.enter(bearer="ann", query={"ticket": [ticket]})
    with pytest.raises(Malformed, match='expected one "ticket", received 2'):
        await house.enter(query={"ticket": [ticket, ticket]})
    assert await house.subject(query={"ticket": [ticket]}) == "eve"


async def test_who_shows_nothing_is_who_the_broker_says(house):
    with pytest.raises(Unauthenticated, match="credentials are missing"):
        await house.enter()
    open_house = House(anonymous=True)
    identity, recheck = await open_house.enter()
    assert identity.is_anonymous
    assert await recheck() == identity


@pytest.mark.parametrize("anonymous", [False, True])
async def test_what_opens_nothing_never_becomes_anonymous(anonymous):
    house = House(anonymous=anonymous)

    with pytest.raises(InvalidToken):
        await house.enter(bearer="nobody")
    with pytest.raises(InvalidToken):
        await house.enter(cookie="nobody")
    with pytest.raises(Unauthenticated):
        await house.enter(authorization="")
    for ticket in ("", "nobody"):
        with pytest.raises(InvalidTicket):
            await house.enter(query={"ticket": [ticket]})


async def test_a_used_an_unknown_and_a_revoked_ticket_are_answered_alike(house):
    used, revoked = await house.ticket("eve"), await house.ticket("ben")
    await house.enter(query={"ticket": [used]})
    house.tokens.known.discard("ben")
    said = set()

    for ticket in (used, "unknown", revoked):
        with pytest.raises(InvalidTicket) as caught:
            await house.enter(query={"ticket": [ticket]})
        said.add((str(caught.value), caught.value.challenge))

    assert len(said) == 1


@pytest.mark.parametrize("way", ["bearer", "cookie", "ticket"])
async def test_whoever_opened_a_stream_is_asked_for_again_as_things_stand_then(house, way):
    shown = {way: "ann"} if way != "ticket" else {"query": {"ticket": [await house.ticket("ann")]}}
    identity, recheck = await house.enter(**shown)

    assert await recheck() == identity
    house.tokens.works = False
    with pytest.raises(Unavailable):
        await recheck()
    house.tokens.works = True
    house.tokens.known.discard("ann")
    with pytest.raises(InvalidToken):
        await recheck()


async def test_a_page_of_another_origin_cannot_use_the_cookie_but_may_show_something_else(house):
    with pytest.raises(CrossSite):
        await house.enter(cookie="ben", sec_fetch_site="cross-site")
    assert await house.subject(bearer="ann", cookie="ben", sec_fetch_site="cross-site") == "ann"


@pytest.mark.parametrize(
    "name",
    [
        "token",
        "Token",
        "access_token",
        "access-token",
        "id_token",
        "refresh_token",
        "authorization",
        "Authorization",
        "auth",
        "bearer",
        "jwt",
        "api_key",
        "apikey",
        "password",
        "secret",
    ],
)
async def test_e1_a_token_in_the_query_is_refused_whoever_asks_and_the_ways_are_named(house, name):
    for shown in ({}, {"bearer": "ann"}, {"cookie": "ben"}):
        with pytest.raises(Malformed) as caught:
            await house.enter(query={"queue": ["*"], name: ["ann"]}, **shown)

        assert str(caught.value) == (
            f'no credentials are taken from a URL ("{name}"): send the header Authorization, '
            "or the cookie that POST /events/session sets, or a ticket that POST /events/ticket "
            'gives, as "ticket"'
        )
