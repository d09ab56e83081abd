"""A storage that gives up: told once, however it was noticed, and whoever serves it hears of it."""

import asyncio
import logging

import pytest

from broker import StorageFailed
from broker.operations.failure import Failure
from broker.operations.tasks import Tasks


async def test_the_first_error_is_told_and_returned_to_all_who_wait(caplog):
    failure = Failure()
    first, second = StorageFailed("a disk, and what to do"), StorageFailed("another")
    waiting = [asyncio.ensure_future(failure.wait()) for _ in range(2)]
    await asyncio.sleep(0)
    assert not any(task.done() for task in waiting)

    failure.note(first)
    failure.note(second)

    assert await asyncio.gather(*waiting, failure.wait()) == [first] * 3
    told = [(record.name, record.levelno, record.getMessage()) for record in caplog.records]
    assert told == [("broker.storage", logging.CRITICAL, "a disk, and what to do")]


async def test_it_is_noticed_in_work_whose_caller_is_gone():
    tasks, gate, error = Tasks(), asyncio.Event(), StorageFailed("a disk")

    async def publish():
        await gate.wait()
        raise error

    caller = asyncio.ensure_future(tasks.finish(publish()))
    await asyncio.sleep(0)
    caller.cancel()
    await asyncio.wait([caller])
    gate.set()

    assert await tasks.failure.wait() is error


async def test_other_errors_are_no_failure_of_the_storage():
    tasks = Tasks()

    async def stumble():
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        await tasks.finish(stumble())
    waiting = asyncio.ensure_future(tasks.failure.wait())
    await asyncio.sleep(0)

    assert not waiting.done()
    waiting.cancel()
