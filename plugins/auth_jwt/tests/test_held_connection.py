"""The one connection: who has it finishes, who waits is told, and nothing of it is left."""

import asyncio
import threading
from typing import Any

import pytest

from broker import Closed, Unavailable
from broker_auth_jwt.database import Transaction


async def add(accounts: Any, name: str) -> None:
    await accounts.users.add(name, password_hash="h", grants=[], now=1)


async def names(accounts: Any) -> list[str]:
    return [user.name for user in await accounts.users.list()]


def ended_since(threads: set[threading.Thread]) -> bool:
    """Wait for the end of each thread that was begun since; the loop's own go on."""
    begun = set(threading.enumerate()) - threads
    of_databases = [thread for thread in begun if not thread.name.startswith("asyncio")]
    for thread in of_databases:
        thread.join(10)
    return not any(thread.is_alive() for thread in of_databases)


async def test_a_change_that_has_begun_is_finished_for_nobody(open_accounts) -> None:
    begun = asyncio.Event()
    go_on = asyncio.Event()

    async def change(tx: Transaction) -> None:
        begun.set()
        await go_on.wait()
        await tx.execute("UPDATE broker_accounts SET changes = 1000")

    async with open_accounts() as accounts:
        task = asyncio.ensure_future(accounts._database.change(change))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go_on.set()
    async with open_accounts() as accounts:
        assert await accounts.changes.current() == 1000


async def test_closing_waits_for_a_change_and_refuses_what_waits(open_accounts) -> None:
    begun = asyncio.Event()
    go_on = asyncio.Event()

    async def change(tx: Transaction) -> None:
        begun.set()
        await go_on.wait()
        await tx.execute("UPDATE broker_accounts SET changes = 1000")

    async with open_accounts() as accounts:
        task = asyncio.ensure_future(accounts._database.change(change))
        await begun.wait()
        waiting = asyncio.ensure_future(add(accounts, "ann"))
        await asyncio.sleep(0)
        closing = asyncio.ensure_future(accounts.close())
        await asyncio.sleep(0)
        go_on.set()
        await closing
        await task
        for refused in (waiting, names(accounts)):
            with pytest.raises(Closed, match="the database of users is not open"):
                await refused
    async with open_accounts() as accounts:
        assert await accounts.changes.current() == 1000


async def test_closing_leaves_no_thread_and_no_task(open_accounts) -> None:
    threads = set(threading.enumerate())
    async with open_accounts() as accounts:
        await add(accounts, "ann")
        await accounts.changes.current()
    assert ended_since(threads)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_an_opening_that_is_cut_short_leaves_nothing_open(open_accounts) -> None:
    threads = set(threading.enumerate())

    async def work() -> None:
        async with open_accounts():
            await asyncio.Event().wait()

    for turns in range(0, 90, 3):
        task = asyncio.ensure_future(work())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert ended_since(threads)
    async with open_accounts() as accounts:
        await add(accounts, "ann")


async def test_opening_and_closing_again_and_again_is_harmless(open_accounts) -> None:
    async with open_accounts() as accounts:
        await accounts.close()
        await accounts.close()
        await accounts.open()
        await add(accounts, "ann")
        await accounts.ping()
    await accounts.close()
    with pytest.raises(Closed):
        await accounts.ping()


async def test_whoever_waits_too_long_for_his_turn_is_told(open_accounts, monkeypatch) -> None:
    monkeypatch.setattr("broker_auth_jwt.held_connection.PATIENCE_SECONDS", 0)
    go_on = asyncio.Event()

    async def change(tx: Transaction) -> None:
        await go_on.wait()

    async with open_accounts() as accounts:
        task = asyncio.ensure_future(accounts._database.change(change))
        await asyncio.sleep(0)
        with pytest.raises(Unavailable):
            await names(accounts)
        monkeypatch.undo()
        go_on.set()
        await task
        assert await names(accounts) == []
