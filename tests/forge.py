"""Tokens of a broker, and the means to forge them."""

import asyncio
import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jwt.utils import base64url_encode

from broker.testing import ManualClock
from broker_auth_jwt.config import AuthConfig
from broker_auth_jwt.keyfile import KeyFile
from broker_auth_jwt.keys import KeyRing
from broker_auth_jwt.stored_key import StoredKey, generate, implementation
from broker_auth_jwt.tokens import Tokens

make_key: Callable[..., StoredKey] = cache(generate)
"""One key for each algorithm and time: making one for RSA takes a second."""


def encoded(part: object) -> str:
    text = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64url_encode(text).decode()


class Forge:
    """A broker's tokens, and whoever wants to forge some: he may even have the key."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.folder = folder
        self.clock = ManualClock()
        self.config = AuthConfig.model_validate(settings)
        self.ring = self.open_ring(self.config)
        self.tokens = Tokens(self.config, self.ring, self.clock)

    def open_ring(self, config: AuthConfig) -> KeyRing:
        path = self.folder / config.keys
        if config.secret is None and not path.exists():
            made = make_key(config.algorithm, now=self.clock.now())
            KeyFile(path).change(lambda _: (made,))
        ring = KeyRing(config, self.folder, clock=self.clock)
        asyncio.run(ring.open())
        return ring

    def stored(self) -> StoredKey:
        """Return the key that signs, as it is in the file."""
        return KeyFile(self.folder / self.config.keys).read()[0]

    def header(self, **changes: Any) -> dict[str, Any]:
        """Return the header of an access token; a change to None leaves a member out."""
        key = self.ring.signing
        return _changed({"alg": key.algorithm, "kid": key.kid, "typ": "at+jwt"}, changes)

    def claims(self, **changes: Any) -> dict[str, Any]:
        now = self.clock.now() // 1000
        claims = {"iss": "replika-broker", "aud": "replika-broker", "sub": "alice", "jti": "j"}
        return _changed({**claims, "iat": now, "exp": now + 900, "sid": "s", "ver": 1}, changes)

    def sign(self, header: object, claims: object) -> str:
        """Return a token with these parts, signed as the broker would."""
        return self.sign_with(
            self.ring.signing.algorithm, self.ring.signing.private, header, claims
        )

    def sign_with(self, algorithm: Any, key: Any, header: object, claims: object) -> str:
        signed = self.join(header, claims)
        return f"{signed}.{encoded(implementation(algorithm).sign(signed.encode(), key))}"

    def join(self, *parts: object) -> str:
        """Write parts as base64url, with dots between; bytes as they are, all else as JSON."""
        return ".".join(map(encoded, parts))


def _changed(members: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in (members | changes).items() if value is not None}
