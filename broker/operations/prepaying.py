"""Paying for messages before it is known how many there are."""

from __future__ import annotations

import math

from broker.auth import Identity
from broker.errors import RateLimited
from broker.limits import MAX_LEASE_MESSAGES
from broker.operations.gate import Gate

HOPELESS_SECONDS = 5.0
"""After how long is tried again what costs more than is ever allowed: limits can change."""


class Prepaid:
    """What one consumer has paid for and not been given: it pays for each message once, however
    often it looks in vain."""

    def __init__(self, gate: Gate, queue: str, *, paid: int) -> None:
        self._gate = gate
        self._queue = queue
        self._left = paid
        self._most = MAX_LEASE_MESSAGES
        """How much is asked for at once: less after each refusal, more after each success."""
        self.pause_ms = 0
        """After a refusal: how long to wait before asking again."""

    async def get(self, identity: Identity, wanted: int) -> int:
        """Return for how many messages, of those `wanted`, is paid now; 0 after a refusal."""
        while self._left < wanted:
            cost = min(wanted - self._left, self._most)
            try:
                await self._gate.spend(identity, "consume", self._queue, cost)
            except RateLimited as error:
                if self._left:
                    break
                if cost > 1:
                    self._most = cost // 2
                    continue
                after = HOPELESS_SECONDS if error.retry_after is None else error.retry_after
                self.pause_ms = math.ceil(1000 * after)
                return 0
            self._left += cost
            self._most = min(2 * self._most, MAX_LEASE_MESSAGES)
            break
        return min(self._left, wanted)

    def use(self, count: int) -> None:
        """Take it that so many messages were given."""
        self._left -= count
