"""The door: who asks for a stream."""

from __future__ import annotations

from functools import partial

import msgspec
from broker import (
    Broker,
    Credentials,
    Identity,
    Malformed,
    Recheck,
    Request,
    Unauthenticated,
    read_credentials,
)

from broker_sse.session import read_session
from broker_sse.tickets import InvalidTicket, Tickets

TICKET = "ticket"
"""The part of a query that a ticket is in."""

_TOKENS = frozenset(
    {
        "access_token",
        "api_key",
        "apikey",
        "auth",
        "authorization",
        "bearer",
        "credentials",
        "id_token",
        "jwt",
        "password",
        "refresh_token",
        "secret",
        "token",
    }
)


class Door:
    """Finds out who asks for a stream: by a ticket, by the header Authorization, by the cookie of a
    session, or by whatever else an authenticator reads in a request, in this order.

    What a client says outright counts before the cookie, which browsers send by themselves.
    """

    def __init__(self, broker: Broker, tickets: Tickets) -> None:
        self._broker = broker
        self._tickets = tickets

    async def enter(self, request: Request) -> tuple[Identity, Recheck]:
        """Return who asks, and what finds it out again for as long as the stream goes on.

        Uses a ticket up, so ask when all else about the request is right. Raises Malformed for a
        token in the query, Unauthenticated, CrossSite.
        """
        refuse_tokens(request)
        ticket = _read_ticket(request)
        if ticket is not None:
            identify = self._recheck(await self._tickets.redeem(ticket), request.peer)
        elif credentials := read_credentials(request) or read_session(request):
            identify = self._recheck(credentials, request.peer)
        else:
            identify = partial(self._broker.identify_request, request)
        try:
            return await identify(), identify
        except Unauthenticated as error:
            if ticket is None:
                raise
            raise InvalidTicket from error  # also if its credentials were revoked meanwhile

    def _recheck(self, credentials: Credentials | None, peer: str) -> Recheck:
        if credentials is not None:
            credentials = msgspec.structs.replace(credentials, peer=peer)

        async def identify() -> Identity:
            return await self._broker.identify(credentials, peer=peer)

        return identify


def refuse_tokens(request: Request) -> None:
    """Raise Malformed if there is a token in the query: others read it there, in logs, histories
    and referrers (RFC 9700, section 4.3.2)."""
    for name in request.query:
        if name.lower().replace("-", "_") in _TOKENS:
            raise Malformed(
                f'no credentials are taken from a URL ("{name}"): send the header Authorization, '
                "or the cookie that POST /events/session sets, or a ticket that POST "
                f'/events/ticket gives, as "{TICKET}"'
            )


def _read_ticket(request: Request) -> str | None:
    tickets = request.query.get(TICKET, [])
    if len(tickets) > 1:
        raise Malformed(f'expected one "{TICKET}", received {len(tickets)}')
    if tickets and "authorization" in request.headers:
        raise Malformed(f'expected the header Authorization or a "{TICKET}", received both')
    return tickets[0] if tickets else None
