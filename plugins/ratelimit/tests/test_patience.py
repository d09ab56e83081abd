"""An answer that is there is heard, however busy the event loop was."""

import asyncio
import time

import pytest

from broker_ratelimit.patience import answer_within

SECONDS = 0.005


async def test_what_never_comes_is_not_waited_for():
    with pytest.raises(TimeoutError):
        async with answer_within(SECONDS):
            await asyncio.Event().wait()


async def test_a_loop_that_was_busy_hears_what_came_meanwhile():
    loop, answer = asyncio.get_running_loop(), asyncio.Event()
    loop.call_soon(time.sleep, 10 * SECONDS)  # keeps the loop from looking, as a crowd does
    loop.call_soon(loop.call_soon, loop.call_soon, answer.set)

    async with answer_within(SECONDS):
        await answer.wait()


async def test_who_is_cancelled_is_not_told_of_a_timeout():
    async def wait():
        async with answer_within(60):
            await asyncio.Event().wait()

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
