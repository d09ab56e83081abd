"""The authenticator contract, kept with the tokens of users, of programs, and of another issuer."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from foreign_issuer import Signer

import broker_auth_jwt
from broker import Authenticator, Credentials
from broker.testing import AuthenticatorContract, ManualClock, make_context
from broker_auth_jwt.authenticator import TokenAuthenticator
from broker_auth_jwt.config import AuthConfig
from broker_auth_jwt.sessions import new_session_id
from broker_auth_jwt.tokens import Tokens
from broker_auth_jwt.users import User

SECRET = "6vN2pKqXw8Rz4LsTc1YbHd9MfJg3AeUo"
HOUR_MS = 3_600_000
ISS = "https://id.example.com"
SIGNER, STRANGER = Signer("k1"), Signer("k1", material="a stranger's")


class Bearers(AuthenticatorContract):
    """Whatever bearer token it is: made through the hook of the plugin."""

    contract = "1.0"
    secrets = (SECRET,)
    settings: Mapping[str, Any] = {}

    def make_authenticator(self, tmp_path: Path, clock: ManualClock) -> Authenticator:
        config = AuthConfig.model_validate({"secret": SECRET, **self.settings})
        return broker_auth_jwt.provide_authenticator(make_context(tmp_path, clock, config=config))

    async def foreign(self, authenticator: Authenticator) -> Sequence[Credentials]:
        elsewhere = Signer("k9").sign({"iss": "https://elsewhere.example.com", "sub": "ann"})
        return [bearer(elsewhere), bearer("an-opaque-token-of-somebody")]


class TestTokensOfUsers(Bearers):
    capabilities = ("expires",)

    async def valid(self, authenticator: Authenticator) -> Credentials:
        return bearer((await Login.of(authenticator)).access)

    async def bad(self, authenticator: Authenticator) -> Mapping[str, Credentials]:
        login = await Login.of(authenticator)
        ended, disabled = await Login.of(authenticator), await Login.of(authenticator, "ben")
        await ended.end()
        await disabled.disable()
        header, payload, signature = login.access.split(".")
        _, other, _ = disabled.access.split(".")
        return {
            "expired": bearer(login.access_of(ManualClock(1_600_000_000_000))),
            "tampered": bearer(f"{header}.{other}.{signature}"),
            "unsigned": bearer(f"{header}.{payload}."),
            "a refresh token": bearer(login.refresh),
            "logged out": bearer(ended.access),
            "of a disabled user": bearer(disabled.access),
        }


class TestTokensOfPrograms(Bearers):
    async def valid(self, authenticator: Authenticator) -> Credentials:
        return bearer(await service_token(authenticator, expires_at=None))

    async def bad(self, authenticator: Authenticator) -> Mapping[str, Credentials]:
        parts = parts_of(authenticator)
        now = parts.clock.now()
        good = await service_token(authenticator, expires_at=None)
        revoked = await service_token(authenticator, expires_at=None)
        await parts.accounts.service_tokens.revoke(revoked[4:].partition(".")[0], now=now)
        return {
            "expired": bearer(await service_token(authenticator, expires_at=now)),
            "revoked": bearer(revoked),
            "with another secret": bearer(good[:-8] + revoked[-8:]),
        }


class TestTokensOfProgramsThatEnd(TestTokensOfPrograms):
    capabilities = ("expires",)

    async def valid(self, authenticator: Authenticator) -> Credentials:
        expires_at = parts_of(authenticator).clock.now() + HOUR_MS
        return bearer(await service_token(authenticator, expires_at=expires_at))


class TestTokensOfAnotherIssuer(Bearers):
    capabilities = ("expires",)

    @pytest.fixture(autouse=True)
    def published_keys(self) -> Iterator[None]:
        with published({"keys": [SIGNER.jwk()]}) as url:
            issuer = {
                "name": "acme",
                "issuer": ISS,
                "jwks_url": url,
                "audience": "orders",
                "grants": {"writer": ["producer"]},
            }
            self.settings = {"issuers": [issuer]}
            yield

    async def valid(self, authenticator: Authenticator) -> Credentials:
        return bearer(SIGNER.sign(claims_at(parts_of(authenticator).clock)))

    async def bad(self, authenticator: Authenticator) -> Mapping[str, Credentials]:
        claims = claims_at(parts_of(authenticator).clock)
        return {
            "expired": bearer(SIGNER.sign({**claims, "exp": claims["iat"] - 3600})),
            "for somebody else": bearer(SIGNER.sign({**claims, "aud": "payments"})),
            "of a stranger's key": bearer(STRANGER.sign(claims)),
        }


def bearer(token: str) -> Credentials:
    return Credentials(scheme="bearer", token=token)


def parts_of(authenticator: Authenticator) -> Any:
    assert isinstance(authenticator, TokenAuthenticator)
    return authenticator.parts


async def service_token(authenticator: Authenticator, *, expires_at: int | None) -> str:
    parts = parts_of(authenticator)
    _, text = await parts.accounts.service_tokens.create(
        "robot", grants=["producer"], now=parts.clock.now(), expires_at=expires_at
    )
    return text


def claims_at(clock: ManualClock) -> dict[str, Any]:
    now = clock.now() // 1000
    return {
        "iss": ISS,
        "sub": "ann",
        "aud": "orders",
        "iat": now,
        "exp": now + 300,
        "scope": "writer",
    }


class Login:
    """A login of a user, without the work of a password."""

    def __init__(self, parts: Any, user: User, session: str) -> None:
        self._parts, self._user, self._session = parts, user, session

    @classmethod
    async def of(cls, authenticator: Authenticator, name: str = "ann") -> "Login":
        parts = parts_of(authenticator)
        now, users = parts.clock.now(), parts.accounts.users
        user = await users.find(name)
        if user is None:
            user = await users.add(name, password_hash="$none", grants=["producer"], now=now)
        login = cls(parts, user, new_session_id())
        await parts.accounts.sessions.begin(
            login._session, user=name, jti="first", now=now, expires_at=now + 24 * HOUR_MS
        )
        return login

    @property
    def access(self) -> str:
        return self.access_of(self._parts.clock)

    def access_of(self, clock: ManualClock) -> str:
        """Return the token that was issued at another time."""
        tokens = self._tokens(clock)
        return tokens.issue_access(
            self._user.name, session=self._session, version=self._user.token_version
        )

    @property
    def refresh(self) -> str:
        tokens = self._tokens(self._parts.clock)
        return tokens.issue_refresh(
            self._user.name, session=self._session, version=self._user.token_version
        ).text

    async def end(self) -> None:
        await self._parts.accounts.sessions.revoke(self._session, now=self._parts.clock.now())

    async def disable(self) -> None:
        await self._parts.accounts.users.set_disabled(
            self._user.name, True, now=self._parts.clock.now()
        )

    def _tokens(self, clock: ManualClock) -> Tokens:
        return Tokens(AuthConfig(secret=SECRET), self._parts.keys, clock)


@contextmanager
def published(keys: Any) -> Iterator[str]:
    """Publish a JWK Set; return its URL."""

    class Publishing(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(keys).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Publishing) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/keys"
        finally:
            server.shutdown()
            thread.join()
