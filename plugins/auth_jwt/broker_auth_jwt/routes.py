"""Logging in over HTTP."""

from __future__ import annotations

from broker import (
    Broker,
    CrossSite,
    InvalidToken,
    Request,
    Response,
    Route,
    Spending,
    Transport,
    Unauthenticated,
    WrongState,
    json_response,
    read_credentials,
    timestamp,
)

from broker_auth_jwt import about
from broker_auth_jwt.login_form import read_login
from broker_auth_jwt.logins import Pair
from broker_auth_jwt.parts import Parts

PRIVATE = (("cache-control", "no-store"),)


class LoginTransport(Transport):
    """`/login`, `/refresh`, `/logout`, `/me`, and the public keys for others who verify tokens."""

    def __init__(self, broker: Broker, parts: Parts) -> None:
        self._broker = broker
        self._logins = parts.logins
        self._bearer_tokens = parts.bearer_tokens
        self._keys = parts.keys

    def routes(self) -> tuple[Route, ...]:
        """Return the routes."""
        return (
            Route("POST", "/login", self.login, described=about.LOGIN),
            Route("POST", "/refresh", self.refresh, described=about.REFRESH),
            Route("POST", "/logout", self.logout, described=about.LOGOUT),
            Route("GET", "/me", self.me, described=about.ME),
            Route("GET", "/.well-known/jwks.json", self.public_keys, described=about.PUBLIC_KEYS),
        )

    async def login(self, request: Request) -> Response:
        """Give tokens for a password: OAuth2's password form (RFC 6749, section 4.3.2)."""
        if request.headers.get("sec-fetch-site") == "cross-site":
            raise CrossSite("a page of another site cannot log in here")
        await self._broker.spend(Spending(activity="login", peer=request.peer))
        username, password = read_login(request)
        return _answer(await self._logins.log_in(username, password, peer=request.peer))

    async def refresh(self, request: Request) -> Response:
        """Give new tokens for a refresh token, which comes as the bearer token."""
        token = _bearer_token(request)
        return _answer(await self._logins.refresh(token, peer=request.peer))

    async def logout(self, request: Request) -> Response:
        """End the session of an access token."""
        verified = await self._bearer_tokens.verify(_bearer_token(request))
        if verified is None:
            raise InvalidToken
        if verified.session is None:
            raise WrongState("this token is of no login that could end; it is revoked elsewhere")
        await self._logins.log_out(verified.session, subject=verified.subject, peer=request.peer)
        return Response(status=204)

    async def me(self, request: Request) -> Response:
        """Tell who asks, and what they may do."""
        identity = await self._broker.identify_request(request)
        view = about.MeView(
            subject=identity.subject,
            scopes=sorted(identity.scopes),
            expires_at=timestamp(identity.expires_at),
        )
        return json_response(view, headers=PRIVATE)

    async def public_keys(self, _: Request) -> Response:
        """Publish the keys that verify this broker's tokens (RFC 7517); none for HMAC."""
        return json_response(self._keys.public(), headers=(("cache-control", "max-age=300"),))


def _bearer_token(request: Request) -> str:
    credentials = read_credentials(request)
    if credentials is None:
        raise Unauthenticated
    if credentials.scheme != "bearer":
        raise InvalidToken
    return credentials.token


def _answer(pair: Pair) -> Response:
    return json_response(pair, headers=PRIVATE)
