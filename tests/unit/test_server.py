"""Ending a server, whichever it is."""

import asyncio
import gc
import resource
import socket
from contextlib import suppress

import pytest

from broker import server


async def test_a_server_that_fails_is_heard():
    serving = asyncio.get_running_loop().create_future()
    serving.set_exception(ZeroDivisionError())

    with pytest.raises(ZeroDivisionError):
        await server.end(serving, 60, asyncio.Event())


async def test_a_server_that_is_cut_off_may_fail_with_whatever_it_likes(caplog):
    async def serve():
        try:
            await asyncio.Event().wait()
        finally:
            raise asyncio.InvalidStateError

    await server.end(asyncio.ensure_future(serve()), -1, asyncio.Event())

    assert caplog.messages == ["requests in flight did not end in time"]


async def test_requests_that_go_on_when_they_are_cut_off_are_waited_for_no_longer(
    caplog, monkeypatch
):
    monkeypatch.setattr(server, "CUT_SECONDS", 0)
    go_on = asyncio.Event()

    async def cling():
        while not go_on.is_set():
            with suppress(asyncio.CancelledError):
                await go_on.wait()

    serving = asyncio.ensure_future(cling())
    await server.end(serving, -1, asyncio.Event())

    assert caplog.messages[1:] == [
        "requests in flight go on although they were cut off; nobody waits for them"
    ]
    go_on.set()
    await serving


async def test_a_server_is_cut_off_in_a_hurry(caplog):
    hurry = asyncio.Event()
    hurry.set()

    await server.end(asyncio.ensure_future(asyncio.Event().wait()), 3600, hurry)

    assert caplog.messages == ["requests in flight did not end in time"]


def test_full_collections_are_rare_while_it_serves():
    before = gc.get_threshold()
    try:
        server._spare_the_collector()
        assert gc.get_threshold() == (*before[:2], 100)
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


@pytest.mark.parametrize(
    ("limits", "wanted", "room", "raised"),
    [
        ((1024, 4096), None, 4096 - 64, (4096, 4096)),
        ((1024, 4096), 100, 100, (4096, 4096)),
        ((1024, 4096), 5000, 4096 - 64, (4096, 4096)),
        ((128, 128), None, 64, (128, 128)),
        ((20, 20), None, 1, (20, 20)),
        ((1024, 10**9), None, 65_536 - 64, (65_536, 10**9)),
        ((10**6, 10**6), None, 10**6 - 64, None),
        ((1024, resource.RLIM_INFINITY), None, 65_536 - 64, (65_536, resource.RLIM_INFINITY)),
        ((resource.RLIM_INFINITY,) * 2, None, 65_536 - 64, None),
    ],
)
def test_connections_get_the_files_that_others_leave(monkeypatch, limits, wanted, room, raised):
    set_to = []
    monkeypatch.setattr(resource, "getrlimit", lambda kind: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda kind, to: set_to.append(to))

    assert server.room_for_connections(wanted) == room
    assert set_to == ([raised] if raised else [])


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="Linux knows it")
def test_who_is_gone_without_a_word_is_noticed_within_45_seconds():
    """A stream sends a heartbeat within 15 s; this is how long it may stay unacknowledged."""
    with server.listen("127.0.0.1", 0) as listener:
        listener.settimeout(30)
        with socket.create_connection(listener.getsockname()), listener.accept()[0] as accepted:
            silent_ms = accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)

    assert 15_000 + silent_ms <= 45_000


@pytest.mark.skipif(not hasattr(socket, "TCP_NOTSENT_LOWAT"), reason="not every system knows it")
def test_little_waits_in_the_system_for_who_does_not_read():
    with server.listen("127.0.0.1", 0) as listener:
        listener.settimeout(30)
        with socket.create_connection(listener.getsockname()), listener.accept()[0] as accepted:
            accepted.setblocking(False)
            sent = 0
            with suppress(BlockingIOError):
                while True:
                    sent += accepted.send(b"x" * 1024)

    assert sent < 512 * 1024
