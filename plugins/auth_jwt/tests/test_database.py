"""The database: changes are whole or not at all, whatever fails."""

import asyncio
import logging
from typing import Any

import pytest

from broker import BrokerError, Unavailable
from broker_auth_jwt import sqlite_file
from broker_auth_jwt.database import Transaction

REFUSE_COMMIT = {
    "sqlite": (
        "CREATE TABLE a (id INTEGER PRIMARY KEY)",
        "CREATE TABLE b (id INTEGER REFERENCES a DEFERRABLE INITIALLY DEFERRED)",
        "CREATE TRIGGER refuse AFTER INSERT ON broker_users BEGIN INSERT INTO b VALUES (1); END",
    ),
    "postgresql": (
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql"
        " AS 'BEGIN RAISE EXCEPTION ''refused''; END'",
        "CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON broker_users"
        " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()",
    ),
}
ALLOW_COMMIT = {
    "sqlite": "DROP TRIGGER refuse",
    "postgresql": "DROP TRIGGER refuse ON broker_users",
}


async def add(accounts: Any, name: str) -> None:
    await accounts.users.add(name, password_hash="h", grants=[], now=1)


async def names(accounts: Any) -> list[str]:
    return [user.name for user in await accounts.users.list()]


async def test_a_commit_that_fails_leaves_nothing_behind(
    open_accounts, backdoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = "sqlite" if backdoor.is_sqlite else "postgresql"
    settings = (*sqlite_file.SQLiteFile.settings, "PRAGMA foreign_keys = ON")
    monkeypatch.setattr(sqlite_file.SQLiteFile, "settings", settings)
    async with open_accounts() as accounts, open_accounts() as other:
        await add(accounts, "ann")
        before = await accounts.changes.current()
        await backdoor.execute(*REFUSE_COMMIT[engine])
        with pytest.raises(Unavailable) as refused:
            await add(accounts, "bob")
        assert str(refused.value) == "users and tokens cannot be looked up now; try again later"
        await other.users.set_password("ann", "new", now=2)  # nobody is locked out
        assert await names(accounts) == ["ann"]
        await backdoor.execute(ALLOW_COMMIT[engine])
        await add(accounts, "bob")
        assert await names(other) == ["ann", "bob"]
        assert await other.changes.current() == before + 2


async def test_what_is_refused_half_way_is_undone(open_accounts) -> None:
    async with open_accounts() as accounts:

        async def change(tx: Transaction) -> None:
            await tx.execute("UPDATE broker_accounts SET changes = 1000")
            raise BrokerError("refused")

        with pytest.raises(BrokerError, match="refused"):
            await accounts._database.change(change)
        assert await accounts.changes.current() < 1000
        await add(accounts, "ann")


async def test_a_bug_half_way_is_undone(open_accounts) -> None:
    async with open_accounts() as accounts, open_accounts() as other:

        async def change(tx: Transaction) -> None:
            await tx.execute("UPDATE broker_accounts SET changes = 1000")
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await accounts._database.change(change)
        await add(other, "ann")
        assert await accounts.changes.current() < 1000
        assert await names(accounts) == ["ann"]


async def test_a_statement_that_fails_is_undone_with_what_was_before_it(open_accounts) -> None:
    async with open_accounts() as accounts, open_accounts() as other:

        async def change(tx: Transaction) -> None:
            await tx.execute("UPDATE broker_accounts SET changes = 1000")
            await tx.execute("UPDATE broker_nothing SET changes = 1000")

        with pytest.raises(Unavailable):
            await accounts._database.change(change)
        await add(other, "ann")
        assert await accounts.changes.current() < 1000
        await add(accounts, "bob")


async def test_a_change_that_is_cut_short_is_whole_or_not_at_all(open_accounts) -> None:
    async with open_accounts() as accounts, open_accounts() as other:
        for turns in range(40):
            task = asyncio.ensure_future(add(accounts, f"ann{turns}"))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await add(accounts, f"bob{turns}")
        found = await names(other)
        assert [name for name in found if name.startswith("bob")] == sorted(
            f"bob{turns}" for turns in range(40)
        )
        assert await other.changes.current() == len(found)


async def test_whoever_reads_first_and_then_writes_is_never_refused(open_accounts) -> None:
    async with open_accounts() as first, open_accounts() as second:

        async def change(tx: Transaction) -> None:
            row = await tx.fetch_one("SELECT changes FROM broker_accounts")
            await tx.execute("UPDATE broker_accounts SET changes = :n", n=row["changes"] + 1)

        before = await first.changes.current()
        await asyncio.gather(
            *(accounts._database.change(change) for accounts in (first, second) for _ in range(20))
        )
        assert await first.changes.current() == before + 40


async def test_a_reader_sees_nothing_of_a_change_that_is_not_committed(open_accounts) -> None:
    begun = asyncio.Event()
    go_on = asyncio.Event()

    async def change(tx: Transaction) -> None:
        await tx.execute("UPDATE broker_accounts SET changes = 1000")
        begun.set()
        await go_on.wait()

    async with open_accounts() as accounts, open_accounts() as other:
        before = await accounts.changes.current()
        task = asyncio.ensure_future(accounts._database.change(change))
        await begun.wait()
        assert await accounts.changes.current() == before
        assert await other.changes.current() == before
        reading = asyncio.ensure_future(names(other))
        assert await reading == []
        go_on.set()
        await task
        assert await accounts.changes.current() == 1000


async def test_no_log_shows_a_hash_or_a_digest(
    open_accounts, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with open_accounts() as accounts:
        await accounts.users.add("ann", password_hash="$hash-1", grants=[], now=1)
        await accounts.users.set_password("ann", "$hash-2", now=2)
        await accounts.users.rehash("ann", old="$hash-2", new="$hash-3")
        await accounts.users.find("ann")
        token, text = await accounts.service_tokens.create("ci", grants=[], now=1)
        await accounts.service_tokens.list()
        await accounts.users.make_first("bob", password_hash="$hash-4", grants=[], now=3)
    assert "INSERT INTO broker_users" in caplog.text
    assert "$hash" not in caplog.text
    assert token.digest not in caplog.text
    assert text.partition(".")[2] not in caplog.text
