"""As whom a command speaks to a broker: a token of the environment, a login, or nobody."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator
from typing import Annotated

import httpx
import msgspec

from broker.cli.client import Client, NotAllowed, Problem, login_command
from broker.cli.tokens import TokenFile, Tokens

MARGIN_SECONDS = 5.0
"""How long before its end an access token is not trusted to arrive in time."""

Token = Annotated[str, msgspec.Meta(pattern=r"^[!-~]+$")]


def connect(url: str) -> Client:
    """Return a client that speaks for BROKER_TOKEN, else for who is logged in at this broker."""
    # Not an option: everybody on the machine can read a command's arguments.
    if token := os.environ.get("BROKER_TOKEN", "").strip():
        return Client(url, token=token)
    client = Client(url)
    file = TokenFile(client.url)
    # An address with a password speaks for itself already.
    if not client.has_password and (tokens := file.read()) is not None:
        client.log_in(Session(client, file, tokens))
    return client


class Issued(msgspec.Struct, frozen=True):
    """The part of an answer to a login or a refresh that is of interest here (RFC 6749, 5.1)."""

    access_token: Token
    refresh_token: Token
    expires_in: float

    def tokens(self, user: str, *, asked_at: float) -> Tokens:
        """Return what is to be kept; `asked_at` is when the answer was asked for."""
        return Tokens(user, self.access_token, self.refresh_token, asked_at + self.expires_in)


class Session(httpx.Auth):
    """A login, as httpx wants it: gives each request an access token that is good.

    Each refresh ends the refresh token that it used, and using one again ends the login. So
    commands take turns, each looks first whether another one has refreshed already, and a new pair
    is on disk before anything is done with it.
    """

    requires_response_body = True

    def __init__(
        self,
        client: Client,
        file: TokenFile,
        tokens: Tokens,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._file = file
        self._tokens = tokens
        self._clock = clock

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Send the request, and a refresh before it, or once after it was refused."""
        is_stale = self._is_over(self._tokens)
        if is_stale:
            yield from self._refresh(request)
        response = yield self._signed(request)
        if response.status_code == httpx.codes.UNAUTHORIZED and not is_stale:
            yield from self._refresh(request)
            yield self._signed(request)

    def _signed(self, request: httpx.Request) -> httpx.Request:
        request.headers["authorization"] = f"Bearer {self._tokens.access_token}"
        return request

    def _is_over(self, tokens: Tokens) -> bool:
        return self._clock() >= tokens.expires_at - MARGIN_SECONDS

    def _refresh(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        with self._file.locked():
            found = self._file.read()
            if found is None:
                raise self._over()
            if found != self._tokens and not self._is_over(found):
                self._tokens = found
                return
            asked_at = self._clock()
            response = yield httpx.Request(
                "POST",
                f"{self._client.url}/refresh",
                headers={"authorization": f"Bearer {found.refresh_token}"},
                extensions=request.extensions,  # the same timeouts
            )
            if response.status_code == httpx.codes.UNAUTHORIZED:
                self._file.remove()
                raise self._over()
            if not response.is_success:
                raise self._client.error_of(response)
            issued: Issued = self._client.decode(response, Issued)
            self._tokens = issued.tokens(found.user, asked_at=asked_at)
            self._file.write(self._tokens)

    def _over(self) -> NotAllowed:
        url = self._client.url
        remedy = f"log in again: {login_command(url)}"
        return NotAllowed(Problem(f"the login at {url} is over"), remedy)
