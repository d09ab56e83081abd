"""The thread that owns a store: group commit, failures, opening and closing."""

import asyncio
import gc
import threading
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from broker import (
    Closed,
    StorageFailed,
    StorageFull,
    StorageLocked,
    StorageUnreadable,
    Unavailable,
)
from broker.ordered import group_commit, keys
from broker.ordered.records import Ids, encode
from broker.ordered.transaction import Transaction
from broker.ordered.writer import Writer
from sorted_dict import Disk, SortedDict


class Watched(SortedDict):
    """A store that can be held at a commit, told to fail, and asked what it was told."""

    def __init__(self, disk: Disk) -> None:
        super().__init__(disk)
        self.commits: list[dict[bytes, bytes | None]] = []
        self.threads: set[str] = set()
        self.fail: Callable[[Mapping[bytes, bytes | None]], None] = lambda _: None
        self.is_open = 0

    def describe(self) -> str:
        return "the store"

    def open(self) -> None:
        self.threads.add(threading.current_thread().name)
        super().open()
        self.is_open += 1

    def close(self) -> None:
        self.threads.add(threading.current_thread().name)
        super().close()
        self.is_open -= 1

    def get(self, key: bytes) -> bytes | None:
        self.threads.add(threading.current_thread().name)
        return super().get(key)

    def commit(self, changes: Mapping[bytes, bytes | None]) -> None:
        self.threads.add(threading.current_thread().name)
        self.fail(changes)
        super().commit(changes)
        self.commits.append(dict(changes))


class Desk:
    """An open writer, and a gate to hold it."""

    def __init__(self) -> None:
        self.store = Watched(Disk())
        self.writer = Writer(self.store)
        self.gate = threading.Event()
        self.entered = threading.Event()

    async def __aenter__(self) -> "Desk":
        await self.writer.open()
        self.store.commits.clear()
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.gate.set()
        await self.writer.close()
        assert self.store.is_open == 0
        assert not any(thread.name == "Watched" for thread in threading.enumerate())
        assert self.store.threads == {"Watched"}

    def hold(self, tx: Transaction) -> None:
        self.entered.set()
        assert self.gate.wait(30)

    async def run(self, operation: Callable[[Transaction], Any], **options: bool) -> Any:
        return await self.writer.run(operation, 0, **options)

    async def held(self) -> asyncio.Task[Any]:
        holder = asyncio.create_task(self.run(self.hold, is_look=True))
        await asyncio.to_thread(self.entered.wait, 30)
        return holder

    async def together(self, *operations: Callable[[Transaction], Any]) -> list[Any]:
        """Run operations that all wait while the writer is held."""
        holder = await self.held()
        tasks = [asyncio.create_task(self.run(operation)) for operation in operations]
        await asyncio.sleep(0)
        self.gate.set()
        await asyncio.wait([holder])  # it shares their commit
        return await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
def desk() -> Desk:
    return Desk()


def put(key: bytes, value: bytes = b"") -> Callable[[Transaction], bytes]:
    def operation(tx: Transaction) -> bytes:
        tx.data.put(key, value)
        return key

    return operation


def put_and_raise(key: bytes, error: Exception) -> Callable[[Transaction], None]:
    def operation(tx: Transaction) -> None:
        tx.data.put(key)
        raise error

    return operation


def refuse(key: bytes, error: BaseException) -> Callable[[Mapping[bytes, bytes | None]], None]:
    def fail(changes: Mapping[bytes, bytes | None]) -> None:
        if key in changes:
            raise error

    return fail


async def test_what_waits_together_is_committed_together(desk: Desk) -> None:
    async with desk:
        assert await desk.together(put(b"a"), put(b"b"), put(b"c")) == [b"a", b"b", b"c"]
        assert desk.store.commits == [{b"a": b"", b"b": b"", b"c": b""}]


async def test_operations_see_those_before_them(desk: Desk) -> None:
    async with desk:
        results = await desk.together(put(b"a", b"1"), lambda tx: tx.data.get(b"a"))
        assert results == [b"a", b"1"]


async def test_nobody_is_answered_before_the_commit(desk: Desk) -> None:
    committing, may_end = threading.Event(), threading.Event()

    def wait(_: Mapping[bytes, bytes | None]) -> None:
        committing.set()
        assert may_end.wait(30)

    async with desk:
        desk.store.fail = wait
        tasks = [asyncio.create_task(desk.run(put(b"a")))]
        await asyncio.to_thread(committing.wait, 30)
        look = asyncio.create_task(desk.run(lambda tx: tx.data.get(b"a"), is_look=True))
        await asyncio.sleep(0)
        assert not any(task.done() for task in (*tasks, look))
        may_end.set()
        assert await asyncio.gather(*tasks, look) == [b"a", b""]


async def test_an_operation_that_fails_is_undone_alone(desk: Desk) -> None:
    async with desk:
        error = ValueError("no")
        results = await desk.together(put(b"a"), put_and_raise(b"b", error), put(b"c"))
        assert results == [b"a", error, b"c"]
        assert desk.store.commits == [{b"a": b"", b"c": b""}]


async def test_an_operation_that_fails_at_its_end_is_undone_alone(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    end = Transaction.end

    def stumble(tx: Transaction) -> None:
        if tx.data.get(b"b") is not None:
            raise RuntimeError("a bug")
        end(tx)

    monkeypatch.setattr(Transaction, "end", stumble)
    async with desk:
        first, second, third = await desk.together(put(b"a"), put(b"b"), put(b"c"))
        assert (first, repr(second), third) == (b"a", "RuntimeError('a bug')", b"c")


async def test_a_look_leaves_no_trace(desk: Desk) -> None:
    async with desk:
        assert await desk.run(put(b"a"), is_look=True) == b"a"
        assert desk.store.commits == []


async def test_no_more_operations_share_a_commit_than_may(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "MAX_JOBS", 2)
    async with desk:
        await desk.together(*(put(b"%d" % number) for number in range(5)))
        assert [len(changes) for changes in desk.store.commits] == [1, 2, 2]


async def test_a_commit_is_not_joined_once_it_is_large(desk: Desk) -> None:
    async with desk:
        large = bytes(5 * 1024 * 1024)
        await desk.together(*(put(key, large) for key in (b"a", b"b", b"c")))
        assert [len(changes) for changes in desk.store.commits] == [2, 1]


async def test_a_commit_that_is_refused_is_made_for_each_operation_alone(desk: Desk) -> None:
    async with desk:
        full = StorageFull("full")
        desk.store.fail = refuse(b"b", full)
        results = await desk.together(put(b"a"), put(b"b"), lambda tx: tx.data.get(b"b"), put(b"c"))
        assert results == [b"a", full, None, b"c"]
        assert desk.store.commits == [{b"a": b""}, {b"c": b""}]


@pytest.mark.parametrize("error", [StorageFull("full"), Unavailable("away for a while")])
async def test_after_a_refused_commit_it_goes_on(desk: Desk, error: Exception) -> None:
    async with desk:
        desk.store.fail = refuse(b"a", error)
        with pytest.raises(type(error)) as refused:
            await desk.run(put(b"a"))
        assert refused.value is error
        assert await desk.run(put(b"b")) == b"b"
        desk.writer.check()


async def test_after_a_commit_that_failed_nothing_is_carried_out_any_more(desk: Desk) -> None:
    async with desk:
        error = OSError(5, "Input/output error")
        desk.store.fail = refuse(b"b", error)
        results = await desk.together(put(b"a"), put(b"b"), lambda tx: tx.data.get(b"a"))
        with pytest.raises(StorageFailed) as refused:
            await desk.run(put(b"c"))
        with pytest.raises(StorageFailed):
            desk.writer.check()
        for result in [*results, refused.value]:
            assert isinstance(result, StorageFailed)
            assert (result.problem, result.__cause__) == (
                "the store is not written any more ([Errno 5] Input/output error, OSError):"
                " see that its disk works, and start the broker again",
                error,
            )
        assert desk.store.commits == []


async def test_a_store_that_panics_leaves_nobody_waiting(desk: Desk) -> None:
    class Panic(BaseException):
        """As those of Rust are."""

    async with desk:
        desk.store.fail = refuse(b"a", Panic("index out of bounds"))
        with pytest.raises(StorageFailed) as failed:
            await desk.run(put(b"a"))
        assert "(index out of bounds, Panic)" in failed.value.problem


async def test_those_who_wait_while_a_commit_fails_are_refused_too(desk: Desk) -> None:
    committing, may_end = threading.Event(), threading.Event()

    def fail(_: Mapping[bytes, bytes | None]) -> None:
        committing.set()
        assert may_end.wait(30)
        raise RuntimeError("a bug")

    async with desk:
        desk.store.fail = fail
        first = asyncio.create_task(desk.run(put(b"a")))
        await asyncio.to_thread(committing.wait, 30)
        others = [asyncio.create_task(desk.run(put(key))) for key in (b"b", b"c")]
        await asyncio.sleep(0)
        may_end.set()
        results = await asyncio.gather(first, *others, return_exceptions=True)
        assert [type(result) for result in results] == [StorageFailed] * 3


async def test_what_the_store_says_itself_of_its_failure_is_told(desk: Desk) -> None:
    async with desk:
        desk.store.fail = refuse(b"a", StorageFailed("the disk burns: put it out"))
        with pytest.raises(StorageFailed) as failed:
            await desk.run(put(b"a"))
        assert failed.value.problem == "the disk burns: put it out"


async def test_a_record_that_cannot_be_read_ends_the_storage(desk: Desk) -> None:
    async with desk:
        await desk.run(put(keys.message(1), b"\xc1 is no MessagePack"))
        with pytest.raises(StorageFailed, match="^the storage failed; the broker stops$") as failed:
            await desk.run(lambda tx: tx.row(1))
        assert "MessagePack data is malformed" in failed.value.problem


async def test_a_cancelled_operation_that_was_not_begun_is_left_out(desk: Desk) -> None:
    async with desk:
        holder = await desk.held()
        tasks = [asyncio.create_task(desk.run(put(key))) for key in (b"a", b"b")]
        await asyncio.sleep(0)
        tasks[0].cancel()
        await asyncio.wait(tasks[:1])
        desk.gate.set()
        assert await asyncio.gather(holder, tasks[1]) == [None, b"b"]
        assert desk.store.commits == [{b"b": b""}]


async def test_closing_finishes_what_waits(desk: Desk) -> None:
    async with desk:
        holder = await desk.held()
        tasks = [asyncio.create_task(desk.run(put(key))) for key in (b"a", b"b")]
        await asyncio.sleep(0)
        closing = asyncio.create_task(desk.writer.close())
        await asyncio.sleep(0)
        with pytest.raises(Closed):
            await desk.run(put(b"late"))
        desk.gate.set()
        assert await asyncio.gather(*tasks) == [b"a", b"b"]
        await asyncio.gather(holder, closing)
    assert b"b" in desk.store.disk


async def test_whoever_loses_patience_with_closing_does_not_stop_it(desk: Desk) -> None:
    async with desk:
        holder = await desk.held()
        closing = asyncio.create_task(desk.writer.close())
        await asyncio.sleep(0)
        closing.cancel()
        await asyncio.wait([closing])
        desk.gate.set()
        await holder
        await desk.writer.close()
        assert desk.store.is_open == 0


async def test_an_error_of_the_store_at_its_end_belongs_to_whoever_closes() -> None:
    class Stuck(Watched):
        def close(self) -> None:
            super().close()
            raise OSError("stuck")

    writer = Writer(Stuck(Disk()))
    await writer.open()
    with pytest.raises(OSError, match="stuck"):
        await writer.close()


async def test_it_opens_and_closes_again(desk: Desk) -> None:
    for key in (b"a", b"b"):
        async with desk:
            await desk.run(put(key))
    assert [key for key in desk.store.disk if key != keys.IDS] == [b"a", b"b"]


async def test_a_store_that_does_not_open_leaves_nothing_behind() -> None:
    store = Watched(Disk())
    store.disk.is_taken = True
    writer = Writer(store)
    with pytest.raises(StorageLocked, match="another store has this disk"):
        await writer.open()
    with pytest.raises(Closed):
        await writer.run(put(b"a"), 0)
    await writer.close()
    assert store.is_open == 0


async def test_whoever_loses_patience_with_opening_leaves_nothing_open() -> None:
    entered, may_open = threading.Event(), threading.Event()

    class Slow(Watched):
        def open(self) -> None:
            entered.set()
            assert may_open.wait(30)
            super().open()

    store = Slow(Disk())
    writer = Writer(store)
    opening = asyncio.create_task(writer.open())
    await asyncio.to_thread(entered.wait, 30)
    opening.cancel()
    await asyncio.wait([opening])
    may_open.set()
    await writer.close()
    assert (store.is_open, store.disk.is_taken) == (0, False)


@pytest.mark.parametrize(
    ("disk", "problem"),
    [
        ({b"other": b"data"}, "the store holds something that is none of a broker's"),
        (
            {keys.IDS: encode(Ids(format=2))},
            "the store has the format 2; this broker reads 1",
        ),
        (
            {keys.IDS: b"\xc1"},
            "the store is damaged, or no store of a broker: MessagePack data is malformed:"
            " invalid opcode '\\xc1' (byte 0)",
        ),
    ],
)
async def test_a_store_of_something_else_is_refused(disk: dict[bytes, bytes], problem: str) -> None:
    store = Watched(Disk(disk))
    with pytest.raises(StorageUnreadable) as refused:
        await Writer(store).open()
    assert str(refused.value) == problem
    assert (store.disk, store.is_open) == (disk, 0)


def test_a_loop_that_ended_before_the_storage_was_closed_hurts_nobody() -> None:
    store = Watched(Disk())
    writer = Writer(store)
    asyncio.run(writer.open())
    [thread] = [thread for thread in threading.enumerate() if thread.name == "Watched"]
    writer._jobs.put(None)
    thread.join(30)
    assert store.is_open == 0
    del writer
    gc.collect()
