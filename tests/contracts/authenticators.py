"""Two authenticators that keep the contract: of tokens, and of signed requests."""

import asyncio
import hmac

from broker import Authenticator, Credentials, Identity, Unauthenticated

KEY = b"the-key-of-the-planted-ones"
SECONDS = 60


def mac(signed):
    return hmac.digest(KEY, signed, "sha256").hex()


def issue(name, expires_at):
    return f"tok.{name}.{expires_at}.{mac(f'{name}.{expires_at}'.encode())}"


class Tokens(Authenticator):
    """Takes bearer tokens that say whose they are and when they end, signed with the key."""

    def __init__(self, clock):
        self.clock = clock

    async def authenticate(self, credentials):
        if credentials.scheme != "bearer":
            return None
        await asyncio.sleep(0)
        return self.look_at(credentials)

    def look_at(self, credentials):
        kind, *parts = credentials.token.split(".")
        if kind != "tok":
            return None
        if len(parts) != 3 or not self.is_signed(*parts):
            raise Unauthenticated("the token is not valid")
        if int(parts[1]) <= self.now():
            raise Unauthenticated("the token is over")
        return self.identity(parts[0], int(parts[1]), credentials)

    def is_signed(self, name, expires_at, signature):
        return self.is_same(signature, mac(f"{name}.{expires_at}".encode("latin-1", "replace")))

    def is_same(self, given, expected):
        return hmac.compare_digest(given.encode(), expected.encode())

    def now(self):
        return self.clock.now()

    def identity(self, name, expires_at, credentials):
        return Identity(
            subject=name,
            scopes=frozenset({"publish:orders-*"}),
            peer=credentials.peer,
            expires_at=expires_at,
        )


class Signed(Authenticator):
    """Takes requests whose body is signed with the key; each signature is good once."""

    challenge = ""
    security = {"signature": {"type": "apiKey", "in": "header", "name": "X-Signature"}}
    header = "x-signature"
    scheme = "planted:signature"

    def __init__(self, clock):
        self.seen = set()

    def read(self, request):
        if self.header not in request.headers:
            return None
        return Credentials(
            scheme=self.scheme,
            token=request.headers[self.header],
            payload=request.body,
            peer=request.peer,
        )

    async def authenticate(self, credentials):
        if credentials.scheme != self.scheme:
            return None
        if not self.is_signed(credentials):
            raise Unauthenticated("the signature is not right")
        await self.use_up(credentials.token)
        return Identity(
            subject="sender", scopes=frozenset({"publish:orders"}), peer=credentials.peer
        )

    def is_signed(self, credentials):
        expected = mac(credentials.payload)
        return hmac.compare_digest(credentials.token.encode(), expected.encode())

    async def use_up(self, token):
        if token in self.seen:
            raise Unauthenticated("the signature was used")
        self.seen.add(token)
