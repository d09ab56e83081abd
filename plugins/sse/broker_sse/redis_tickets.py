"""Tickets that any of several nodes takes, whichever gave them."""

from __future__ import annotations

import asyncio

import msgspec
from broker import Clock, Credentials, Identity
from cryptography.fernet import Fernet, InvalidToken

from broker_sse.redis_link import RedisLink
from broker_sse.redis_url import read_redis_url
from broker_sse.tickets import TICKET_SECONDS, InvalidTicket, LocalTickets, digest_of, is_ticket

RETRY_MS = 1_000
"""How long after a failed try Redis is not asked again."""


class RedisTickets(LocalTickets):
    """Keeps in Redis what tickets stand for; while that is away, here.

    A ticket is in one place only, or it could be used twice: one that was put into Redis opens
    nothing while that is away. There it stands under its digest, encrypted with the ticket itself,
    which Redis never sees, so that whoever reads there has no credentials. Each node counts the
    tickets that it gave, until it takes them back or they expire.
    """

    def __init__(self, clock: Clock, url: str, *, prefix: str) -> None:
        super().__init__(clock)
        self._prefix = prefix
        self._url = read_redis_url(url)
        self._turn = asyncio.Lock()
        self._ask_again_at = 0

    async def issue(self, identity: Identity, credentials: Credentials | None) -> str:
        """Return a new ticket."""
        ticket = await super().issue(identity, credentials)
        sealed = _fernet(ticket).encrypt(msgspec.msgpack.encode(credentials))
        try:
            await self._ask("SET", self._name(ticket), sealed, "PX", TICKET_SECONDS * 1000)
        except OSError:
            # Redis may have it all the same, or come to it later: this one opens nothing here.
            self._forget(digest_of(ticket))
            return await super().issue(identity, credentials)
        self._send_away(digest_of(ticket))
        return ticket

    async def redeem(self, ticket: str) -> Credentials | None:
        """Return what a ticket stands for, and forget it."""
        digest = digest_of(ticket)
        if self._is_here(digest):
            return await super().redeem(ticket)
        if not is_ticket(ticket):  # or strangers would keep Redis from those who have one
            raise InvalidTicket
        try:
            sealed: bytes | None = await self._ask("GETDEL", self._name(ticket))
        except OSError as error:
            raise InvalidTicket from error
        if self._is_known(digest):
            self._forget(digest)
        if sealed is None:
            raise InvalidTicket
        try:
            credentials: Credentials | None = _decoder.decode(_fernet(ticket).decrypt(sealed))
        except (InvalidToken, ValueError) as error:
            raise InvalidTicket from error
        return credentials

    def _name(self, ticket: str) -> str:
        return f"{{{self._prefix}}}:ticket:{digest_of(ticket).hex()}"

    async def _ask(self, *command: str | bytes | int) -> bytes | None:
        # By a new connection each time: one that is seldom used may be gone when it is.
        link = RedisLink(self._url)
        async with self._turn:
            if self._clock.now() < self._ask_again_at:
                raise ConnectionError("no answer a moment ago")
            try:
                await link.open()
                answer: bytes | None = await link.ask(*command)
            except OSError:
                self._ask_again_at = self._clock.now() + RETRY_MS
                raise
            finally:
                await link.close()
            return answer


_decoder = msgspec.msgpack.Decoder(Credentials | None)


def _fernet(ticket: str) -> Fernet:
    # 32 random bytes in Base64, which is what it takes for a key; but for the padding.
    return Fernet(f"{ticket}=")
