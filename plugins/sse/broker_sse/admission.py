"""The routes by which a page gets what its EventSource can show at the door."""

from __future__ import annotations

from collections.abc import Sequence

from broker import (
    Broker,
    Credentials,
    Identity,
    Request,
    Response,
    Route,
    Unauthenticated,
    json_response,
    read_credentials,
)

from broker_sse import about
from broker_sse.door import refuse_tokens
from broker_sse.session import clear_session, write_session
from broker_sse.tickets import TICKET_SECONDS, Tickets

PRIVATE = ("cache-control", "no-store")


class Admission:
    """Gives tickets and cookies to who shows credentials in a header."""

    def __init__(self, broker: Broker, tickets: Tickets) -> None:
        self._broker = broker
        self._tickets = tickets

    def routes(self) -> Sequence[Route]:
        """Return the routes."""
        return (
            Route("POST", "/events/ticket", self.give_ticket, described=about.GIVE_TICKET),
            Route("POST", "/events/session", self.begin_session, described=about.BEGIN_SESSION),
            Route("DELETE", "/events/session", self.end_session, described=about.END_SESSION),
        )

    async def give_ticket(self, request: Request) -> Response:
        """Give a ticket, which opens one stream."""
        identity, credentials = await self._admit(request)
        ticket = await self._tickets.issue(identity, credentials)
        view = about.TicketView(ticket=ticket, expires_in=TICKET_SECONDS)
        return json_response(view, status=201, headers=(PRIVATE,))

    async def begin_session(self, request: Request) -> Response:
        """Have the browser keep the credentials in a cookie for as long as they are good."""
        identity, credentials = await self._admit(request)
        if credentials is None:  # nobody has to show any
            return Response(status=204, headers=(PRIVATE,))
        seconds = None
        if identity.expires_at is not None:
            seconds = max(0, (identity.expires_at - self._broker.clock.now()) // 1000)
        cookie = write_session(request, credentials, seconds=seconds)
        return Response(status=204, headers=(PRIVATE, ("set-cookie", cookie)))

    async def end_session(self, _: Request) -> Response:
        """Have the browser forget the cookie, whoever asks: other sites' pages cannot."""
        cookies = [("set-cookie", cookie) for cookie in clear_session()]
        return Response(status=204, headers=(PRIVATE, *cookies))

    async def _admit(self, request: Request) -> tuple[Identity, Credentials | None]:
        """Return who asks by which credentials; raises Malformed for a token in the query,
        Unauthenticated, and Forbidden for one to whom no stream would tell anything."""
        refuse_tokens(request)
        credentials = read_credentials(request)
        identity = await self._broker.identify_request(request)
        if credentials is None and not identity.is_anonymous:
            raise Unauthenticated("tickets and sessions stand for the header Authorization")
        self._broker.permit_some(identity, "read")
        return identity, credentials
