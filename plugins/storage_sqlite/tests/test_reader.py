"""Looking: cold reads, which nobody who goes away can disturb."""

import asyncio
import sqlite3

import pytest

from broker import Closed, MessageQuery, Unavailable
from broker.testing import Workbench
from broker_storage_sqlite.storage import SQLiteStorage


def storage_of(bench: Workbench) -> SQLiteStorage:
    assert isinstance(bench.storage, SQLiteStorage)
    return bench.storage


async def test_a_look_that_is_cut_short_leaves_the_reader_usable(bench: Workbench) -> None:
    async with bench:
        await bench.make_queue()
        await bench.put()
        for turns in range(12):
            look = asyncio.ensure_future(bench.browse())
            for _ in range(turns):
                await asyncio.sleep(0)
            look.cancel()
            await asyncio.gather(look, return_exceptions=True)
            assert len(await bench.browse()) == 1
        await bench.put()
        assert len(await bench.browse()) == 2  # and sees what was written since


async def test_a_look_that_is_cut_short_is_finished_all_the_same(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished: list[int] = []
    async with bench:
        await bench.make_queue()
        await bench.put()
        reader = storage_of(bench)._reader
        fetch_all = reader._connection.fetch_all

        async def spy(*query: object) -> object:
            rows = await fetch_all(*query)
            finished.append(len(rows))
            return rows

        monkeypatch.setattr(reader._connection, "fetch_all", spy)
        look = asyncio.ensure_future(bench.browse())
        for _ in range(3):
            await asyncio.sleep(0)
        look.cancel()
        await asyncio.gather(look, return_exceptions=True)
    assert finished == [1]


async def test_a_look_sees_what_was_answered_before_it(bench: Workbench) -> None:
    async with bench:
        await bench.make_queue()
        for number in range(1, 50):
            await bench.put()
            assert (await bench.counts()).pending == number


async def test_closing_waits_for_a_look(bench: Workbench) -> None:
    async with bench:
        await bench.make_queue()
        await bench.put()
        look = asyncio.ensure_future(bench.browse())
        await asyncio.sleep(0)
        await bench.storage.close()
        assert len(await look) == 1
        with pytest.raises(Closed):
            await bench.browse()


async def test_several_looks_at_once_are_finished_before_the_storage_closes(
    bench: Workbench,
) -> None:
    async with bench:
        await bench.make_queue()
        await bench.put()
        queries = [MessageQuery(queue="q"), MessageQuery(queue="q", text="x")]
        look = asyncio.ensure_future(bench.pages(queries[0], queries[0]))
        for _ in range(2):
            await asyncio.sleep(0)
        await bench.storage.close()
        assert [len(page.messages) for page in await look] == [1, 1]
        with pytest.raises(Closed):
            await bench.pages(*queries)


async def test_several_looks_that_are_cut_short_leave_the_reader_usable(bench: Workbench) -> None:
    async with bench:
        await bench.make_queue()
        await bench.put(b"x")
        queries = [MessageQuery(queue="q", text="x"), MessageQuery(queue="q")]
        for turns in range(12):
            look = asyncio.ensure_future(bench.pages(*queries))
            for _ in range(turns):
                await asyncio.sleep(0)
            look.cancel()
            await asyncio.gather(look, return_exceptions=True)
            assert [len(page.messages) for page in await bench.pages(*queries)] == [1, 1]
        await bench.put(b"x")
        assert [len(page.messages) for page in await bench.pages(*queries)] == [2, 2]


async def test_what_several_looks_fail_with_is_told_as_with_one(bench: Workbench) -> None:
    async with bench:
        with pytest.raises(Unavailable) as refused:
            await storage_of(bench)._reader.run(lambda sql: sql.execute("DELETE FROM queues"))
        assert str(refused.value) == "the storage cannot be used now; try again later"


async def test_the_reader_cannot_write(bench: Workbench) -> None:
    async with bench:
        reader = storage_of(bench)._reader
        with pytest.raises(Unavailable) as refused:
            await reader.fetch("DELETE FROM queues", {})
        assert str(refused.value) == "the storage cannot be used now; try again later"
        assert "readonly database" in str(refused.value.__cause__)


async def test_a_search_goes_on_over_many_bodies(bench: Workbench) -> None:
    async with bench:
        await bench.make_queue()
        ids = []
        for start in range(3):
            ids += await bench.put_many(600 + start)
        page = await bench.page(queue="q", text="599", limit=2)
        assert [message.id for message in page.messages] == [ids[599], ids[1199]]
        assert page.after == ids[1199]
        page = await bench.page(queue="q", text="599", limit=2, after=page.after)
        assert ([message.id for message in page.messages], page.after) == ([ids[1800]], None)


async def test_looks_go_on_when_nothing_can_be_written_any_more(bench: Workbench) -> None:
    def break_down(_: object) -> None:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR_WRITE
        raise error

    async with bench:
        await bench.make_queue()
        await bench.put()
        await bench.storage.ping()
        with pytest.raises(Unavailable):
            await storage_of(bench)._writer.run(break_down)
        with pytest.raises(Unavailable, match="the storage failed"):
            await bench.storage.ping()
        with pytest.raises(Unavailable):
            await bench.put()
        query = MessageQuery(queue="q")
        assert len((await bench.storage.browse(query, now=bench.now)).messages) == 1
