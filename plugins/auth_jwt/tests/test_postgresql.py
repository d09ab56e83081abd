"""PostgreSQL: a server that goes away and comes back, and what is never shown of its URL."""

import asyncio
import logging
import sys
from pathlib import Path
from typing import Any

import pytest

from broker import ConfigError, StorageUnreadable, Unavailable
from broker_auth_jwt.postgresql import PostgreSQL

END_CONNECTIONS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE application_name = 'replika-broker'"
)
COUNT_CONNECTIONS = (
    "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'replika-broker'"
)


@pytest.fixture
def accounts_place(postgres_url: str) -> str:
    """Of this kind only."""
    return postgres_url


async def add(accounts: Any, name: str) -> None:
    await accounts.users.add(name, password_hash="h", grants=[], now=1)


async def names(accounts: Any) -> list[str]:
    return [user.name for user in await accounts.users.list()]


async def test_a_lost_connection_fails_one_question_and_is_made_anew(
    open_accounts, backdoor
) -> None:
    async with open_accounts() as accounts:
        await add(accounts, "ann")
        before = await accounts.changes.current()
        await backdoor.execute(END_CONNECTIONS)
        with pytest.raises(Unavailable):
            await accounts.changes.current()
        with pytest.raises(Unavailable):
            await add(accounts, "bob")
        await add(accounts, "bob")
        assert await names(accounts) == ["ann", "bob"]
        assert await accounts.changes.current() == before + 1


async def test_a_connection_lost_in_a_change_undoes_it(open_accounts, backdoor) -> None:
    async def change(tx: Any) -> None:
        await tx.execute("UPDATE broker_accounts SET changes = 1000")
        await backdoor.execute(END_CONNECTIONS)
        await tx.fetch("SELECT changes FROM broker_accounts")

    async with open_accounts() as accounts:
        with pytest.raises(Unavailable):
            await accounts._database.change(change)
        await add(accounts, "ann")
        assert await accounts.changes.current() == 1


async def test_a_server_that_stops_and_starts_again_is_used_again(
    open_accounts, postgres_server, caplog
) -> None:
    async with open_accounts() as accounts:
        await add(accounts, "ann")
        before = await accounts.changes.current()
        await asyncio.to_thread(postgres_server.stop)
        try:
            for _ in range(3):
                with pytest.raises(Unavailable):
                    await accounts.changes.current()
                with pytest.raises(Unavailable):
                    await accounts.users.find("ann")
                with pytest.raises(Unavailable):
                    await accounts.ping()
        finally:
            await asyncio.to_thread(postgres_server.start)
        await accounts.ping()
        assert await accounts.changes.current() == before
        assert await names(accounts) == ["ann"]
    assert " cannot be used: " in caplog.text
    # The driver does not go on trying, and complaining, by itself.
    assert "asyncpg.pool" not in {record.name for record in caplog.records}


async def test_a_statement_that_takes_too_long_is_given_up(
    open_accounts, backdoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broker_auth_jwt.postgresql.PATIENCE_SECONDS", 0.2)
    held = asyncio.Event()
    go_on = asyncio.Event()

    async def change(_: Any) -> None:
        held.set()
        await go_on.wait()

    async with open_accounts() as accounts, open_accounts() as other:
        holding = asyncio.ensure_future(other._database.change(change))
        await held.wait()
        with pytest.raises(Unavailable):
            await add(accounts, "ann")
        assert await accounts.changes.current() == 0  # questions wait for nobody
        assert await names(accounts) == []
        go_on.set()
        await holding
        await add(accounts, "ann")


async def test_closing_leaves_no_connection(open_accounts, backdoor) -> None:
    async with open_accounts() as accounts:
        await accounts.changes.current()
        assert await backdoor.fetch(COUNT_CONNECTIONS) == [(2,)]
    # The server notices the end of a connection on its own.
    while await backdoor.fetch(COUNT_CONNECTIONS) != [(0,)]:
        pass


async def test_what_the_server_thinks_of_isolation_does_not_matter(open_at, postgres_url) -> None:
    url = postgres_url + "&default_transaction_isolation=serializable"
    async with open_at(url) as first, open_at(url) as second:
        await add(first, "ann")
        await asyncio.gather(
            *(first.users.grant("ann", [f"publish:a{n}"], now=1) for n in range(10)),
            *(second.users.grant("ann", [f"publish:b{n}"], now=1) for n in range(10)),
        )
        assert len((await first.users.find("ann")).grants) == 20


async def test_a_server_that_is_not_there_is_told_at_the_start(open_at, tmp_path: Path) -> None:
    url = f"postgresql://ann:s3cret-pw@/users?host={tmp_path}"
    with pytest.raises(StorageUnreadable) as refused:
        async with open_at(url):
            pass
    assert str(refused.value) == (
        "PostgreSQL database users cannot be used (FileNotFoundError: [Errno 2] No such file or"
        " directory); see that it works, and that plugins.auth_jwt names the right database"
    )


async def test_a_database_that_is_not_there_is_told_at_the_start(open_at, postgres_url) -> None:
    with pytest.raises(StorageUnreadable, match='database "nothing" does not exist'):
        async with open_at(postgres_url.replace("/postgres?", "/nothing?")):
            pass


async def test_the_password_is_shown_nowhere(
    open_at, postgres_server, postgres_url: str, caplog
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = "s3cret-pw"
    url = postgres_url.replace("postgres:@", f"postgres:{secret}@")
    assert secret in url
    async with open_at(url) as accounts:
        await add(accounts, "ann")
        await accounts.changes.current()
        shown = f"{accounts!r} {accounts._database!r} {accounts._database._engine!r}"
        shown += repr(accounts._database._engine.driver().url)
    wrong = url.replace("//postgres:", "//nobody:")
    with pytest.raises(StorageUnreadable) as refused:
        async with open_at(wrong):
            pass
    error: BaseException | None = refused.value
    while error is not None:
        shown += f" {error!r} {error}"
        error = error.__cause__
    assert 'role "nobody" does not exist' in shown
    assert secret not in shown
    assert secret not in caplog.text


async def test_what_the_url_says_of_tls_is_heeded(open_at, tmp_path: Path) -> None:
    """A server is asked for TLS, refuses it, and hears no password."""
    heard = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(8))
        writer.write(b"N")
        heard.append(await reader.read())
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    url = f"postgresql://ann:s3cret-pw@127.0.0.1:{port}/users?sslmode=require"
    with pytest.raises(StorageUnreadable):
        async with open_at(url):
            pass
    server.close()
    await server.wait_closed()
    assert heard[0] == bytes.fromhex("00000008 04d2162f")  # SSLRequest
    assert b"".join(heard[1:]) == b""


def test_without_the_driver_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    with pytest.raises(ConfigError) as refused:
        PostgreSQL("postgresql://ann:s3cret-pw@127.0.0.1/users")
    assert str(refused.value) == (
        "plugins.auth_jwt.database_url needs the driver asyncpg; run: pip"
        " install 'replika-broker-auth-jwt[postgresql]'"
    )


def test_a_database_is_named_without_who_uses_it() -> None:
    engine = PostgreSQL("postgresql://ann:s3cret-pw@db.example:5433/users?sslmode=require")
    assert engine.name == "PostgreSQL database users of db.example"
