"""How often somebody may try a password: counted where all brokers see it, over restarts."""

from __future__ import annotations

import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Mapping

import msgspec
from broker import RateLimited, address_key

from broker_auth_jwt.database import Database, Transaction

WINDOW_MS = 15 * 60 * 1000
PER_ACCOUNT = 5
PER_ADDRESS = 20


REMEMBERED_MS = 60 * 1000
"""How long a refusal is given again without a look into the database, whatever happened there."""

MOST_REMEMBERED = 10_000


class StillLimited(RateLimited):
    """The same refusal again, which cost next to nothing."""


class Attempt(msgspec.Struct, frozen=True):
    """A login that was begun, and has failed unless it is said to have succeeded."""

    id: str
    account: str


class Attempts:
    """At most 5 failed logins for an account, and 20 for an address, within any 15 minutes."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._refused: OrderedDict[str, tuple[int, int]] = OrderedDict()
        """Which accounts and addresses were refused lately: when, and until when."""

    async def begin(self, account: str, address: str, *, now: int) -> Attempt:
        """Count a failed login, before its password is checked; raises RateLimited.

        So of many at once no more go through than of many after each other. Who is refused is
        not counted, and is refused again without a look into the database for a while: a
        StillLimited, so that a flood of logins is no flood of work.
        """
        attempt = Attempt(secrets.token_urlsafe(16), _account_key(account))
        place = address_key(address)
        if known := max(self._remembered(key, now) for key in (attempt.account, place)):
            raise StillLimited(known / 1000)

        async def begin(tx: Transaction) -> None:
            waits = {
                attempt.account: await _wait(tx, "account", attempt.account, PER_ACCOUNT, now),
                place: await _wait(tx, "address", place, PER_ADDRESS, now),
            }
            if any(waits.values()):
                self._remember(waits, now)
                raise RateLimited(max(waits.values()) / 1000)
            await tx.execute(
                "INSERT INTO broker_attempts VALUES (:id, :account, :address, :now)",
                id=attempt.id,
                account=attempt.account,
                address=place,
                now=now,
            )

        await self._database.change(begin)
        return attempt

    async def withdraw(self, attempt: Attempt) -> None:
        """Take an attempt back: nobody could tell whether the password was right."""

        async def withdraw(tx: Transaction) -> None:
            await tx.execute("DELETE FROM broker_attempts WHERE id = :id", id=attempt.id)

        await self._database.change(withdraw)
        self._refused.clear()

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
        self._refused.pop(attempt.account, None)

    def _remembered(self, key: str, now: int) -> int:
        since, until = self._refused.get(key, (0, 0))
        return max(0, until - now) if now - since < REMEMBERED_MS else 0

    def _remember(self, waits: Mapping[str, int], now: int) -> None:
        for key, wait in waits.items():
            if wait > 0:
                self._refused[key] = (now, now + wait)
                self._refused.move_to_end(key)
        while len(self._refused) > MOST_REMEMBERED:
            self._refused.popitem(last=False)


async def clean_attempts(tx: Transaction, now: int) -> None:
    """Forget the attempts that count no more, and those of a clock that was put back since."""
    await tx.execute(
        "DELETE FROM broker_attempts WHERE at <= :end OR at > :ahead",
        end=now - WINDOW_MS,
        ahead=now + WINDOW_MS,
    )


async def _wait(tx: Transaction, column: str, key: str, limit: int, now: int) -> int:
    """Return the milliseconds until one more attempt is within the limit; 0 for none."""
    row = await tx.fetch_one(
        f"SELECT at FROM broker_attempts WHERE {column} = :key"  # noqa: S608  # one of two names
        f" AND at > :end AND at <= :now ORDER BY at DESC LIMIT 1 OFFSET {limit - 1}",
        key=key,
        end=now - WINDOW_MS,
        now=now,
    )
    return 0 if row is None else int(row["at"]) + WINDOW_MS - now


def _account_key(account: str) -> str:
    # Whatever was typed there: a megabyte, a NUL, a password in the wrong box.
    return hashlib.sha256(account.encode("utf-8", "surrogatepass")).hexdigest()
