"""A loop and a thread that are not those of the test."""

import asyncio
import threading
import weakref

import pytest

from broker.testing.observer.elsewhere import LoopElsewhere, ThreadElsewhere


class Thing:
    """Something of which can be known whether it is kept."""


async def test_a_loop_elsewhere_is_one_loop_in_another_thread() -> None:
    elsewhere = LoopElsewhere()

    async def look() -> tuple[asyncio.AbstractEventLoop, int]:
        return asyncio.get_running_loop(), threading.get_ident()

    try:
        loop, thread = await elsewhere.run(look())
        assert (loop, thread) == await elsewhere.run(look())
        assert loop is not asyncio.get_running_loop()
        assert thread != threading.get_ident()
    finally:
        elsewhere.end()
    assert loop.is_closed()


async def test_a_loop_elsewhere_ends_what_still_runs_there() -> None:
    elsewhere, ended = LoopElsewhere(), threading.Event()

    async def stay() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def begin() -> asyncio.Task[None]:
        task = asyncio.create_task(stay())
        await asyncio.sleep(0)
        return task

    await elsewhere.run(begin())
    elsewhere.end()
    assert ended.is_set()


async def test_a_thread_elsewhere_is_always_the_same_and_has_no_loop() -> None:
    elsewhere, threads = ThreadElsewhere(), []

    def look() -> None:
        threads.append(threading.get_ident())
        with pytest.raises(RuntimeError):
            asyncio.get_running_loop()

    await elsewhere.call(look)
    await elsewhere.call(look)
    elsewhere.end()
    assert len({*threads, threading.get_ident()}) == 2


@pytest.mark.parametrize("error", [ValueError, SystemExit])
async def test_what_a_call_raises_is_raised_to_who_asked(error: type[BaseException]) -> None:
    elsewhere = ThreadElsewhere()

    def fail() -> None:
        raise error("here")

    with pytest.raises(error, match="here"):
        await elsewhere.call(fail)
    await elsewhere.call(lambda: None)
    elsewhere.end()


async def test_of_a_call_that_is_made_nothing_is_left() -> None:
    elsewhere = ThreadElsewhere()
    for _ in range(100):
        thing = Thing()
        kept = weakref.ref(thing)
        await elsewhere.call(lambda thing=thing: None)
        del thing
        assert kept() is None
    elsewhere.end()
