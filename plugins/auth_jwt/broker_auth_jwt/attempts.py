"""How often somebody may try a password: counted where all brokers see it, over restarts."""

from __future__ import annotations

import hashlib
import ipaddress
import secrets

import msgspec
from broker import RateLimited

from broker_auth_jwt.database import Database, Transaction

WINDOW_MS = 15 * 60 * 1000
PER_ACCOUNT = 5
PER_ADDRESS = 20


class Attempt(msgspec.Struct, frozen=True):
    """A login that was begun, and has failed unless it is said to have succeeded."""

    id: str
    account: str


class Attempts:
    """At most 5 failed logins for an account, and 20 for an address, within any 15 minutes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, account: str, address: str, *, now: int) -> Attempt:
        """Count a failed login, before its password is checked; raises RateLimited.

        So of many at once no more go through than of many after each other. Who is refused is
        not counted.
        """
        attempt = Attempt(secrets.token_urlsafe(16), _account_key(account))
        place = _address_key(address)

        async def begin(tx: Transaction) -> None:
            wait = max(
                await _wait(tx, "account", attempt.account, PER_ACCOUNT, now),
                await _wait(tx, "address", place, PER_ADDRESS, now),
            )
            if wait > 0:
                raise RateLimited(wait / 1000)
            await tx.execute(
                "INSERT INTO broker_attempts VALUES (:id, :account, :address, :now)",
                id=attempt.id,
                account=attempt.account,
                address=place,
                now=now,
            )

        await self._database.change(begin)
        return attempt

    async def succeeded(self, attempt: Attempt) -> None:
        """Take an attempt back, and forgive its account the others.

        They still count for the addresses they came from: who knows one password has not earned
        another twenty tries.
        """

        async def forgive(tx: Transaction) -> None:
            await tx.execute("DELETE FROM broker_attempts WHERE id = :id", id=attempt.id)
            await tx.execute(
                "UPDATE broker_attempts SET account = NULL WHERE account = :account",
                account=attempt.account,
            )

        await self._database.change(forgive)


async def clean_attempts(tx: Transaction, now: int) -> None:
    """Forget the attempts that count no more."""
    await tx.execute("DELETE FROM broker_attempts WHERE at <= :end", end=now - WINDOW_MS)


async def _wait(tx: Transaction, column: str, key: str, limit: int, now: int) -> int:
    """Return the milliseconds until one more attempt is within the limit; 0 for none."""
    row = await tx.fetch_one(
        f"SELECT at FROM broker_attempts WHERE {column} = :key AND at > :end"  # noqa: S608  # one of two names
        f" ORDER BY at DESC LIMIT 1 OFFSET {limit - 1}",
        key=key,
        end=now - WINDOW_MS,
    )
    return 0 if row is None else int(row["at"]) + WINDOW_MS - now


def _account_key(account: str) -> str:
    # Whatever was typed there: a megabyte, a NUL, a password in the wrong box.
    return hashlib.sha256(account.encode("utf-8", "surrogatepass")).hexdigest()


def _address_key(address: str) -> str:
    """Return what one customer of a provider has: an IPv4 address, or 64 bits of an IPv6 one."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address  # no address, such as that of a socket in the file system
    if ip.version == 4:  # noqa: PLR2004  # as it says
        return str(ip)
    if ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    return str(ipaddress.ip_network((ip, 64), strict=False))
