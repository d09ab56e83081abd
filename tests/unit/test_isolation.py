import asyncio
import types
from threading import Thread

import pytest

from broker.isolation import TOLD_EVERY_MS, Failures, is_from_outside
from broker.testing import ManualClock


def test_what_a_plugin_fails_at_is_counted_by_plugin_and_step():
    failures = Failures(ManualClock())
    failures.note("acme", "permit", ValueError())
    failures.note("acme", "permit", ValueError())
    failures.count("zeta", "observe", 3)

    assert failures == {("acme", "permit"): 2, ("zeta", "observe"): 3}


def test_what_fails_again_and_again_is_told_once_in_a_while(caplog):
    clock = ManualClock()
    failures = Failures(clock)
    for _ in range(1000):
        failures.note("acme", "permit", ValueError("no"))
    failures.note("acme", "count", ValueError("no"))
    failures.note("zeta", "permit", ValueError("no"))
    clock.advance(TOLD_EVERY_MS / 1000)
    failures.note("acme", "permit", ValueError("no"))
    clock.advance(TOLD_EVERY_MS / 1000)
    failures.note("acme", "permit", ValueError("no"))

    assert caplog.messages == [
        'plugin "acme" failed to permit',
        'plugin "acme" failed to count',
        'plugin "zeta" failed to permit',
        'plugin "acme" failed to permit, and 999 times more since that was told last',
        'plugin "acme" failed to permit',
    ]
    assert caplog.text.count("ValueError: no") == 5


def test_threads_and_the_loop_count_alike():
    failures = Failures(ManualClock())
    threads = [
        Thread(target=lambda: [failures.count("acme", "observe") for _ in range(10_000)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures["acme", "observe"] == 40_000


async def test_who_is_cancelled_did_not_fail():
    found = []

    async def work():
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as error:
            found.append(is_from_outside(error))
            raise

    task = asyncio.ensure_future(work())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])

    assert found == [True]


@pytest.mark.parametrize("error", [asyncio.CancelledError(), GeneratorExit(), SystemExit()])
async def test_who_only_says_that_it_was_cancelled_failed(error):
    assert not is_from_outside(error)


@types.coroutine
def pause():
    yield


def test_what_is_thrown_away_with_its_loop_did_not_fail():
    found = []

    async def work():
        try:
            await pause()
        except GeneratorExit as error:
            found.append(is_from_outside(error))
            raise

    thrown_away = work()
    thrown_away.send(None)
    thrown_away.close()

    assert found == [True]
