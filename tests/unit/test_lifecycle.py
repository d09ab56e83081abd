import asyncio
import logging
from contextlib import asynccontextmanager

import pytest
from misbehaving import odd_errors

from broker import PluginError, Provider, StorageLocked
from broker.isolation import Failures
from broker.lifecycle import Lifecycle
from broker.testing import ManualClock


def failures():
    return Failures(ManualClock())


class Part(Provider):
    def __init__(self, name, log, *, open_error=None, close_error=None, hang=""):
        self.name, self.log, self.hang = name, log, hang
        self.open_error, self.close_error = open_error, close_error

    async def open(self):
        self.log.append(f"open {self.name}")
        if self.hang == "open":
            await asyncio.Event().wait()
        if self.open_error:
            raise self.open_error

    async def close(self):
        self.log.append(f"close {self.name}")
        if self.hang == "close":
            await asyncio.Event().wait()
        if self.close_error:
            raise self.close_error


async def test_providers_close_in_reverse_order():
    log = []
    async with Lifecycle(failures()) as lifecycle:
        for name in "abc":
            await lifecycle.open(name, Part(name, log))

    assert log == ["open a", "open b", "open c", "close c", "close b", "close a"]


async def test_a_provider_that_cannot_open_is_named_and_the_others_are_closed():
    log = []
    broken = Part("b", log, open_error=OSError("no such host"))
    with pytest.raises(PluginError) as caught:
        async with Lifecycle(failures()) as lifecycle:
            await lifecycle.open("a", Part("a", log))
            await lifecycle.open("acme", broken)

    assert str(caught.value) == 'plugin "acme": Part.open failed: OSError: no such host'
    assert caught.value.exit_code == 78
    assert log == ["open a", "open b", "close b", "close a"]


async def test_a_startup_error_of_a_provider_passes_unchanged():
    with pytest.raises(StorageLocked, match="^taken$"):
        async with Lifecycle(failures()) as lifecycle:
            await lifecycle.open("a", Part("a", [], open_error=StorageLocked("taken")))


async def test_opening_has_a_deadline():
    with pytest.raises(PluginError, match=r'^plugin "a": Part.open did not end within 0 s$'):
        async with Lifecycle(failures(), open_seconds=0) as lifecycle:
            await lifecycle.open("a", Part("a", [], hang="open"))


async def test_a_provider_without_a_deadline_is_waited_for():
    class Big(Part):
        open_has_deadline = False

        async def open(self):
            for _ in range(3):
                await asyncio.sleep(0)
            await super().open()

    log = []
    async with Lifecycle(failures(), open_seconds=0) as lifecycle:
        await lifecycle.open("big", Big("big", log))

    assert log == ["open big", "close big"]


async def test_what_fails_or_hangs_while_closing_is_logged_and_the_rest_is_closed(caplog):
    log = []
    with caplog.at_level(logging.ERROR):
        async with Lifecycle(failures(), close_seconds=0) as lifecycle:
            await lifecycle.open("a", Part("a", log))
            await lifecycle.open("b", Part("b", log, close_error=OSError("gone")))
            await lifecycle.open("c", Part("c", log, hang="close"))

    assert log[-3:] == ["close c", "close b", "close a"]
    assert [record.getMessage() for record in caplog.records] == [
        'plugin "c" did not close',
        'plugin "b" did not close',
    ]


async def test_background_work_runs_between_entering_and_leaving():
    log = []

    @asynccontextmanager
    async def work():
        log.append("enter")
        yield
        log.append("leave")

    async with Lifecycle(failures()) as lifecycle:
        await lifecycle.enter("w", work())
        log.append("serve")

    assert log == ["enter", "serve", "leave"]


@pytest.mark.parametrize(**odd_errors)
async def test_whatever_a_provider_raises_as_it_opens_names_it(error):
    with pytest.raises(
        PluginError, match=f'^plugin "acme": Part.open failed: {type(error).__name__}'
    ):
        async with Lifecycle(failures()) as lifecycle:
            await lifecycle.open("acme", Part("b", [], open_error=error))


@pytest.mark.parametrize(**odd_errors)
async def test_whatever_a_provider_raises_as_it_closes_keeps_no_other_open(error, caplog):
    log = []
    async with Lifecycle(failures()) as lifecycle:
        await lifecycle.open("a", Part("a", log))
        await lifecycle.open("acme", Part("b", log, close_error=error))

    assert log[-1] == "close a"
    assert caplog.messages == ['plugin "acme" did not close']


async def test_an_own_timeout_of_a_provider_is_not_told_as_the_deadline():
    with pytest.raises(PluginError, match="^.*: Part.open failed: TimeoutError: no answer$"):
        async with Lifecycle(failures()) as lifecycle:
            await lifecycle.open("a", Part("a", [], open_error=TimeoutError("no answer")))
