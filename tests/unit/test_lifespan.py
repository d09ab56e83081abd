"""Background work of plugins that breaks: before it began, while it is at it, at its end."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from misbehaving import odd_errors

from broker.errors import PluginError
from broker.isolation import Failures
from broker.lifecycle import Lifecycle
from broker.testing import ManualClock


def lifecycle(**options):
    return Lifecycle(Failures(ManualClock()), **options)


async def turns():
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.mark.parametrize(**odd_errors)
async def test_what_is_raised_before_it_began_stops_the_start(error):
    @asynccontextmanager
    async def work():
        raise error
        yield

    with pytest.raises(PluginError, match='^plugin "acme": provide_lifespan failed: '):
        async with lifecycle() as running:
            await running.enter("acme", work())


@pytest.mark.parametrize(**odd_errors)
async def test_what_is_raised_at_its_end_is_told_and_keeps_no_other_open(error, caplog):
    left = []

    @asynccontextmanager
    async def other():
        yield
        left.append(True)

    @asynccontextmanager
    async def work():
        yield
        raise error

    async with lifecycle() as running:
        await running.enter("other", other())
        await running.enter("acme", work())

    assert left == [True]
    assert caplog.messages == ['plugin "acme" did not close']


async def test_a_task_group_that_breaks_ends_that_work_and_nothing_else(caplog):
    """It cancels the task that entered it, which must not be the broker's."""
    break_it, went_on = asyncio.Event(), []

    async def child():
        await break_it.wait()
        raise RuntimeError("broken pipe")

    @asynccontextmanager
    async def work():
        async with asyncio.TaskGroup() as group:
            group.create_task(child())
            yield

    async with lifecycle() as running:
        await running.enter("acme", work())
        break_it.set()
        await turns()
        went_on.append(asyncio.current_task().cancelling())

    assert went_on == [0]
    assert running._failures == {("acme", "go on in the background"): 1}
    assert caplog.messages == ['plugin "acme" failed to go on in the background']
    assert "RuntimeError: broken pipe" in caplog.text


async def test_work_is_entered_and_left_by_one_task():
    tasks = []

    @asynccontextmanager
    async def work():
        tasks.append(asyncio.current_task())
        yield
        tasks.append(asyncio.current_task())

    async with lifecycle() as running:
        await running.enter("acme", work())

    entered, left = tasks
    assert entered is left


async def test_work_that_does_not_begin_in_time_stops_the_start_and_is_cancelled():
    ended = []

    @asynccontextmanager
    async def work():
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)
        yield

    with pytest.raises(PluginError, match="did not end within 0 s$"):
        async with lifecycle(open_seconds=0) as running:
            await running.enter("acme", work())
    assert ended == [True]


async def test_work_that_does_not_end_is_cancelled_and_told(caplog):
    @asynccontextmanager
    async def work():
        yield
        await asyncio.Event().wait()

    async with lifecycle(close_seconds=0) as running:
        await running.enter("acme", work())

    assert caplog.messages == ['plugin "acme" did not close']
    assert asyncio.all_tasks() == {asyncio.current_task()}
