"""Files are read one at a time, whoever waits for them and whoever does not any more."""

import asyncio
import threading
from types import SimpleNamespace

import pytest

from broker.auth import Identity
from broker.builtin.rest.logs import LogRoutes
from broker.http import Request


class Files:
    """Files whose disk hangs until a test frees it."""

    def __init__(self):
        self.is_free = threading.Event()
        self.begun = asyncio.Semaphore(0)
        self.reading = self.most = self.reads = 0
        self._loop = asyncio.get_running_loop()

    def names(self):
        self.reading += 1
        self.reads += 1
        self.most = max(self.most, self.reading)
        self._loop.call_soon_threadsafe(self.begun.release)
        assert self.is_free.wait(10)
        self.reading -= 1
        return []

    def read(self, _name, **_options):
        return self.names()


def make():
    async def identify_request(_):
        return Identity(subject="ana")

    async def spend(_):
        pass

    broker = SimpleNamespace(
        identify_request=identify_request, demand_admin=lambda _: None, spend=spend
    )
    routes = LogRoutes(broker, data_dir=None)
    routes._files = Files()
    return routes, routes._files


@pytest.mark.parametrize("show", [LogRoutes.list, LogRoutes.show])
async def test_who_goes_leaves_no_second_thread_to_the_next(show):
    routes, files = make()
    request = Request(method="GET", path="/logs/x", params={"name": "x"})
    asking = asyncio.ensure_future(show(routes, request))
    await files.begun.acquire()
    others = [asyncio.ensure_future(show(routes, request)) for _ in range(3)]
    asking.cancel()
    await asyncio.wait([asking])
    others[0].cancel()
    await asyncio.wait([others[0]])
    assert files.reads == 1
    files.is_free.set()

    answers = [await other for other in others[1:]]

    assert [answer.status for answer in answers] == [200, 200]
    assert (files.reads, files.most) == (3, 1)
