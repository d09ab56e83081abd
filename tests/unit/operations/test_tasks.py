import asyncio

import pytest

from broker.errors import StorageFailed
from broker.operations.tasks import Tasks


async def test_work_goes_on_when_its_caller_is_cancelled():
    tasks, gate, done = Tasks(), asyncio.Event(), []

    async def work():
        await gate.wait()
        done.append("done")

    caller = asyncio.ensure_future(tasks.finish(work()))
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    gate.set()
    await tasks.close()

    assert done == ["done"]


async def test_the_result_and_the_error_reach_the_caller():
    tasks = Tasks()

    async def answer():
        return 42

    async def fail():
        raise ValueError("no")

    assert await tasks.finish(answer()) == 42
    with pytest.raises(ValueError, match="^no$"):
        await tasks.finish(fail())


async def test_an_error_that_nobody_waits_for_is_not_reported_by_the_loop():
    reported = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    tasks, gate = Tasks(), asyncio.Event()

    async def fail():
        await gate.wait()
        raise ValueError("too late")

    caller = asyncio.ensure_future(tasks.finish(fail()))
    await asyncio.sleep(0)
    caller.cancel()
    gate.set()
    await tasks.close()
    await asyncio.wait([caller])

    assert reported == []


async def test_a_storage_that_gives_up_is_noted():
    tasks = Tasks()

    async def fail():
        raise StorageFailed("the disk is gone")

    with pytest.raises(StorageFailed):
        await tasks.finish(fail())

    assert (await tasks.failure.wait()).problem == "the disk is gone"
