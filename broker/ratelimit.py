"""How much somebody may ask in a time."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Literal, get_args

import msgspec

from broker.auth import Identity
from broker.provider import Provider

Activity = Literal["publish", "consume", "settle", "read", "manage", "login"]

"""What can be limited: `consume` is leasing, `settle` is ending or changing leases."""

ACTIVITIES: tuple[Activity, ...] = get_args(Activity)
"""Every activity, in the order in which they are shown."""


class Spending(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What somebody is about to do, and what it costs."""

    activity: Activity
    """What it is."""
    peer: str
    """The address of the client."""
    identity: Identity | None = None
    """None before it is known: at a login."""
    queue: str | None = None
    """None for what concerns no queue, or many."""
    cost: int = 1
    """How many messages are published or settled, or asked for by a lease; at least 1."""


class Quota(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A limit that applied, and what is left of it: an item of `RateLimit` and `RateLimit-Policy`
    (draft-ietf-httpapi-ratelimit-headers-10). Raises ValueError for what those cannot say."""

    name: str
    """Printable ASCII without quotes and backslashes."""
    limit: int
    """How much is allowed in each window."""
    window_seconds: int
    """How long a window is."""
    remaining: int
    """How much can be spent now."""
    reset_seconds: float
    """Until all of the limit is there again, if nothing is spent meanwhile."""

    def __post_init__(self) -> None:
        is_text = self.name.isascii() and self.name.isprintable()
        if not is_text or '"' in self.name or "\\" in self.name:
            raise ValueError(f"no name for a header: {self.name!r}")
        if not 0 <= self.reset_seconds < math.inf:
            raise ValueError(f"no time for a header: {self.reset_seconds}")


class Allowance(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The answer of a rate limiter."""

    allowed: bool
    """Whether the costs were taken, so that the operation may go on."""
    quotas: tuple[Quota, ...] = ()
    """All limits that applied, none if the limiter cannot tell."""
    retry_after: float | None = None
    """Seconds until the same is worth trying again; None: it costs more than is ever allowed."""
    refused_by: str | None = None
    """The name of the limit that has not as much left, for the client."""


class RateLimiter(Provider):
    """Counts what clients spend. At most one plugin provides it; without one, all is free."""

    @abstractmethod
    async def spend(self, spendings: Sequence[Spending]) -> Allowance:
        """Take the costs from every limit that applies, or from none if one of them has not as much
        left.

        They are of one request, so of one client; there are several when it is about several
        queues, or both settles and publishes. Called by every operation before permission is
        checked, and by transports for what is no operation, such as a login. One that cannot tell
        now, and shall let nobody through, raises Unavailable; an unexpected exception is a 503 too.
        """
