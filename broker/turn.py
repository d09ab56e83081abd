"""What comes up while a request is answered, and its answer has to tell."""

from __future__ import annotations

import math
from contextvars import ContextVar

from broker.ratelimit import Quota


class Turn:
    """One request's time with the broker."""

    __slots__ = ("_quotas",)

    def __init__(self) -> None:
        self._quotas: dict[str, Quota] = {}

    def note(self, quotas: tuple[Quota, ...]) -> None:
        """Take note of the limits that applied; of one that applied twice, of the latest state."""
        for quota in quotas:
            self._quotas[quota.name] = quota

    def headers(self) -> tuple[tuple[str, str], ...]:
        """Return what the limits that applied add to the answer
        (draft-ietf-httpapi-ratelimit-headers-10)."""
        if not self._quotas:
            return ()
        quotas = self._quotas.values()
        policy = ", ".join(f'"{q.name}";q={q.limit};w={q.window_seconds}' for q in quotas)
        left = ", ".join(
            f'"{q.name}";r={q.remaining};t={math.ceil(q.reset_seconds)}' for q in quotas
        )
        return (("ratelimit-policy", policy), ("ratelimit", left))


CURRENT_TURN: ContextVar[Turn | None] = ContextVar("broker.turn", default=None)
"""The turn in whose context this runs; None for what no transport asked for."""
