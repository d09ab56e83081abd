"""How much an identity may ask in a time."""

from __future__ import annotations

from abc import abstractmethod

import msgspec

from broker.auth import Action, Identity
from broker.provider import Provider


class Allowance(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of a rate limiter."""

    allowed: bool
    limit: int
    remaining: int
    retry_after: float = 0.0
    """Seconds until it is worth trying again."""


class RateLimiter(Provider):
    """Counts what identities spend. At most one plugin provides it; without one, all is free."""

    @abstractmethod
    async def spend(self, identity: Identity, action: Action, cost: int) -> Allowance:
        """Take `cost` (messages, at least 1) from the identity's allowance for the action.

        Called before permission is checked. An unexpected exception is a 503.
        """
