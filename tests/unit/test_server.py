"""Ending a server, whichever it is."""

import asyncio

import pytest

from broker import server


async def test_a_server_that_fails_is_heard():
    serving = asyncio.get_running_loop().create_future()
    serving.set_exception(ZeroDivisionError())

    with pytest.raises(ZeroDivisionError):
        await server.end(serving, 60)


async def test_a_server_that_is_cut_off_may_fail_with_whatever_it_likes(caplog):
    async def serve():
        try:
            await asyncio.Event().wait()
        finally:
            raise asyncio.InvalidStateError

    await server.end(asyncio.ensure_future(serve()), -1)

    assert caplog.messages == ["requests in flight did not end in time"]
