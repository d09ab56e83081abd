"""What is known of tokens that came before, so that they are not looked up at every request."""

from __future__ import annotations

from collections import OrderedDict
from hashlib import blake2b

import msgspec
from broker import Identity

from broker_auth_jwt.issuers import ForeignToken

LIMIT = 10_000
"""How many tokens are remembered; the one that was used longest ago goes first."""

REFUSED_MS = 10 * 1000
"""How long a token is refused without being looked up again."""

MOST_REFUSED = 1000


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """A token whose proof was checked, and what it stands for."""

    subject: str
    scopes: frozenset[str]
    expires_at: int | None
    """Milliseconds UTC, as the token says."""
    ends_at: int | None
    """When it is refused: later than that by what clocks may be wrong."""
    session: str | None = None
    """The login that an access token of ours belongs to."""
    service_token: str | None = None
    """The id of a service token."""
    foreign: ForeignToken | None = None
    """What the issuer's keys said, for a token of another issuer."""

    def identity(self, peer: str) -> Identity:
        """Return who asks from that address."""
        return Identity(
            subject=self.subject, scopes=self.scopes, peer=peer, expires_at=self.expires_at
        )


class VerifiedTokens:
    """Verified tokens by their digest."""

    def __init__(self, *, limit: int = LIMIT) -> None:
        self._limit = limit
        self._found: OrderedDict[bytes, Verified] = OrderedDict()

    def find(self, token: str, *, now: int) -> Verified | None:
        """Return what is remembered of a token that is not over."""
        digest = _digest(token)
        verified = self._found.get(digest)
        if verified is None:
            return None
        if verified.ends_at is not None and now >= verified.ends_at:
            del self._found[digest]
            return None
        self._found.move_to_end(digest)
        return verified

    def remember(self, token: str, verified: Verified) -> None:
        """Remember a token that was looked up."""
        self._found[_digest(token)] = verified
        if len(self._found) > self._limit:
            self._found.popitem(last=False)

    def forget(self) -> None:
        """Forget all."""
        self._found.clear()


class RefusedTokens:
    """Refused tokens by their digest, so that who sends one again and again costs little.

    For tokens that no change but a new token could make good.
    """

    def __init__(self) -> None:
        self._until: OrderedDict[bytes, int] = OrderedDict()

    def has(self, token: str, *, now: int) -> bool:
        """Tell whether a token was refused a moment ago."""
        return now < self._until.get(_digest(token), now)

    def remember(self, token: str, *, now: int) -> None:
        """Remember a token that was looked up and refused."""
        digest = _digest(token)
        self._until[digest] = now + REFUSED_MS
        self._until.move_to_end(digest)
        if len(self._until) > MOST_REFUSED:
            self._until.popitem(last=False)

    def forget(self) -> None:
        """Forget all."""
        self._until.clear()


def _digest(token: str) -> bytes:
    # Whoever reads the memory of the broker does not find tokens in it.
    return blake2b(token.encode(errors="surrogateescape"), digest_size=16).digest()
