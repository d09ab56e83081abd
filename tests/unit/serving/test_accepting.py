"""Accepting, on a real socket, without a server behind."""

import asyncio
import errno
import os
import socket
from contextlib import asynccontextmanager

import pytest

from broker.serving import accepting
from broker.serving.accepting import Acceptor


class Sockets:
    """What is done with connections: each is kept until told."""

    def __init__(self):
        self.begun = asyncio.Queue()
        self.ends = []

    async def serve(self, connection):
        with connection:
            end = asyncio.Event()
            self.ends.append(end)
            self.begun.put_nowait(end)
            await end.wait()


@asynccontextmanager
async def accepting_from(serve, most, note=str):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        acceptor = Acceptor(listener, most, serve, note)
        running = asyncio.ensure_future(acceptor.run())
        yield acceptor, listener
        running.cancel()
        await acceptor.finish(60)


async def connect(listener):
    connection = socket.socket()
    connection.setblocking(False)
    await asyncio.get_running_loop().sock_connect(connection, listener.getsockname())
    return connection


async def test_the_parts_of_an_answer_do_not_wait_for_each_other():
    told = asyncio.get_running_loop().create_future()

    async def serve(connection):
        with connection:
            told.set_result(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    async with accepting_from(serve, 1) as (_, listener):
        with await connect(listener):
            assert await told != 0


async def test_it_tells_how_many_connections_are_open():
    sockets, told = Sockets(), []
    async with accepting_from(sockets.serve, 5, told.append) as (_, listener):
        with await connect(listener), await connect(listener):
            first = await sockets.begun.get()
            await sockets.begun.get()
            first.set()
            while len(told) < 4:
                await asyncio.sleep(0)
            sockets.ends[1].set()

    assert told == [0, 1, 2, 1, 0]


async def test_who_finds_no_room_waits_until_another_has_ended():
    sockets = Sockets()
    async with accepting_from(sockets.serve, 2) as (_, listener):
        connections = [await connect(listener) for _ in range(3)]
        first, second = [await sockets.begun.get() for _ in range(2)]
        for _ in range(100):
            await asyncio.sleep(0)
        assert sockets.begun.empty()
        first.set()
        third = await sockets.begun.get()
        second.set()
        third.set()
    for connection in connections:
        connection.close()

    assert len(sockets.ends) == 3


async def test_a_connection_that_fails_gives_its_place_back_and_says_so(caplog):
    begun = asyncio.Queue()

    async def fail(connection):
        connection.close()
        begun.put_nowait(None)
        raise ZeroDivisionError

    async with accepting_from(fail, 1) as (_, listener):
        for _ in range(3):
            with await connect(listener):
                await begun.get()

    assert caplog.messages == ["error in a connection"] * 3


async def test_connections_are_cut_off_after_the_grace():
    sockets = Sockets()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        acceptor = Acceptor(listener, 1, sockets.serve, str)
        running = asyncio.ensure_future(acceptor.run())
        with await connect(listener):
            await sockets.begun.get()
            running.cancel()
            await acceptor.finish(0)


async def test_when_the_system_has_no_files_left_it_is_said_once(monkeypatch, caplog):
    monkeypatch.setattr(accepting, "RETRY_SECONDS", 0)
    loop = asyncio.get_running_loop()
    accept, failures = loop.sock_accept, iter([errno.EMFILE] * 3 + [errno.ECONNABORTED])

    async def fail_first(listener):
        for number in failures:
            raise OSError(number, os.strerror(number))
        return await accept(listener)

    monkeypatch.setattr(loop, "sock_accept", fail_first)
    sockets = Sockets()
    async with accepting_from(sockets.serve, 1) as (_, listener):
        with await connect(listener):
            (await sockets.begun.get()).set()

    assert caplog.messages == ["no connection can be accepted for now: Too many open files"]


async def test_a_crowd_lets_others_have_their_turn():
    turns = 0

    async def count_turns():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    begun = []

    async def serve(connection):
        connection.close()
        begun.append(turns)

    with socket.create_server(("127.0.0.1", 0), backlog=100) as listener:
        crowd = [await connect(listener) for _ in range(50)]
        counting = asyncio.ensure_future(count_turns())
        acceptor = Acceptor(listener, 100, serve, str)
        running = asyncio.ensure_future(acceptor.run())
        while len(begun) < len(crowd):
            await asyncio.sleep(0)
        running.cancel()
        counting.cancel()
        await acceptor.finish(0)
        for connection in crowd:
            connection.close()

    assert turns >= len(crowd)
