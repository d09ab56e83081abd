"""Tickets: what opens one stream for a page whose EventSource cannot send a header."""

from __future__ import annotations

import re
import secrets
from abc import abstractmethod
from collections import Counter
from hashlib import sha256

import msgspec
from broker import (
    BrokerError,
    Clock,
    Credentials,
    Identity,
    Provider,
    Unauthenticated,
    address_key,
)

TICKET_SECONDS = 30

MOST_EACH = 30
"""How many unused tickets an identity may have: as many as it may, by default, have streams."""

_TICKET = re.compile(r"[A-Za-z0-9_-]{43}")

MOST = 4096
"""How many there may be in all. Each keeps credentials of at most the 16 KiB of a request's
headers, so that all take 64 MiB at the very most, and a few MiB with tokens of the usual size."""


class InvalidTicket(Unauthenticated):
    """A ticket that opens nothing. Why is not told: the answer is the same for all."""

    code, title = "invalid-ticket", "Invalid ticket"

    def __init__(self) -> None:
        super().__init__(
            f"the ticket is not valid: each opens one stream, within {TICKET_SECONDS} s; "
            "get another by POST /events/ticket"
        )


class TooManyTickets(BrokerError):
    """As many tickets wait to be used as may: of this identity, or in all."""

    code, title, status, exit_code = "too-many-tickets", "Too many tickets", 429, 5
    retry_after = 5.0

    def __init__(self) -> None:
        super().__init__("too many tickets wait to be used; use them, or try again later")


class Tickets(Provider):
    """Gives tickets and takes them back, each once.

    A ticket stands for the credentials that asked for it, so that whoever uses it is the same
    identity, for exactly as long.
    """

    @abstractmethod
    async def issue(self, identity: Identity, credentials: Credentials | None) -> str:
        """Return a new ticket for the credentials, None for those of nobody; `identity` is whose
        they are. Raises TooManyTickets."""

    @abstractmethod
    async def redeem(self, ticket: str) -> Credentials | None:
        """Return what a ticket stands for, and forget it; raises InvalidTicket for one that was
        used, has expired, or is none."""


class LocalTickets(Tickets):
    """Tickets of one node, in memory."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._unused: dict[bytes, _Unused] = {}
        """By digest, the oldest first."""
        self._counts: Counter[str] = Counter()

    async def issue(self, identity: Identity, credentials: Credentials | None) -> str:
        """Return a new ticket."""
        now = self._clock.now()
        self._forget_expired(now)
        whose = whose_tickets(identity)
        if len(self._unused) >= MOST or self._counts[whose] >= MOST_EACH:
            raise TooManyTickets
        ticket = new_ticket()
        self._unused[digest_of(ticket)] = _Unused(credentials, whose, now + TICKET_SECONDS * 1000)
        self._counts[whose] += 1
        return ticket

    async def redeem(self, ticket: str) -> Credentials | None:
        """Return what a ticket stands for, and forget it."""
        self._forget_expired(self._clock.now())
        return self._forget(digest_of(ticket)).credentials

    def _is_known(self, digest: bytes) -> bool:
        return digest in self._unused

    def _is_here(self, digest: bytes) -> bool:
        return self._is_known(digest) and self._unused[digest].is_here

    def _send_away(self, digest: bytes) -> None:
        """Only count a ticket whose credentials are kept elsewhere."""
        unused = self._unused[digest]
        self._unused[digest] = msgspec.structs.replace(unused, credentials=None, is_here=False)

    def _forget_expired(self, now: int) -> None:
        expired = []
        for digest, unused in self._unused.items():
            if now < unused.expires_at:
                break
            expired.append(digest)
        for digest in expired:
            self._forget(digest)

    def _forget(self, digest: bytes) -> _Unused:
        unused = self._unused.pop(digest, None)
        if unused is None:
            raise InvalidTicket
        self._counts[unused.whose] -= 1
        if not self._counts[unused.whose]:
            del self._counts[unused.whose]
        return unused


class _Unused(msgspec.Struct, frozen=True):
    credentials: Credentials | None
    whose: str
    expires_at: int
    is_here: bool = True


def new_ticket() -> str:
    """Return 256 random bits, as they stand in a URL."""
    return secrets.token_urlsafe(32)


def is_ticket(text: str) -> bool:
    """Tell whether something looks like what `new_ticket` returns."""
    return _TICKET.fullmatch(text) is not None


def digest_of(ticket: str) -> bytes:
    """Return what is kept of a ticket, by which it can be known but not had."""
    return sha256(ticket.encode(errors="surrogateescape")).digest()


def whose_tickets(identity: Identity) -> str:
    """Return by what the tickets of an identity are counted; those of nobody go by address."""
    if identity.is_anonymous:
        return f"address {address_key(identity.peer)}"
    return f"identity {identity.subject}"
