"""Work in a thread: what it returns and raises is the caller's, cancelling ends it."""

import asyncio
import sqlite3
from functools import partial

import pytest

from broker_storage_sqlite.interruptible import work_on

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"

connect = partial(sqlite3.connect, ":memory:", check_same_thread=False)


def is_open(sql: sqlite3.Connection) -> bool:
    try:
        sql.execute("SELECT 1")
    except sqlite3.ProgrammingError:
        return False
    return True


async def test_what_the_work_returns_is_returned() -> None:
    assert await work_on(connect, lambda sql: sql.execute("SELECT 7").fetchone()) == (7,)


async def test_what_the_work_raises_is_raised_and_the_connection_is_closed() -> None:
    sql = connect()
    with pytest.raises(sqlite3.OperationalError, match="no such table: nowhere"):
        await work_on(lambda: sql, lambda sql: sql.execute("SELECT * FROM nowhere"))
    assert not is_open(sql)


async def test_a_failure_to_connect_is_raised() -> None:
    with pytest.raises(sqlite3.OperationalError, match="unable to open"):
        await work_on(lambda: sqlite3.connect("/nowhere/at/all"), lambda _: None)


@pytest.mark.parametrize("times", [1, 3])
async def test_cancelling_ends_a_statement_and_closes_the_connection(times: int) -> None:
    sql = connect()
    loop = asyncio.get_running_loop()
    begun = asyncio.Event()

    def work(sql: sqlite3.Connection) -> None:
        loop.call_soon_threadsafe(begun.set)
        sql.execute(ENDLESS)

    waiting = asyncio.ensure_future(work_on(lambda: sql, work))
    await begun.wait()
    for _ in range(times):
        waiting.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not is_open(sql)


async def test_cancelling_ends_also_a_statement_that_begins_later() -> None:
    loop = asyncio.get_running_loop()
    waiting = asyncio.ensure_future(work_on(connect, lambda sql: interrupted_twice(sql)))

    def interrupted_twice(sql: sqlite3.Connection) -> None:
        loop.call_soon_threadsafe(waiting.cancel)
        with pytest.raises(sqlite3.OperationalError, match="interrupted"):
            sql.execute(ENDLESS)
        sql.execute(ENDLESS)

    with pytest.raises(asyncio.CancelledError):
        await waiting
