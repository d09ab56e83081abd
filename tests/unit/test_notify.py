"""What a supervisor is told, on a datagram socket as systemd has one."""

import asyncio
import os
import socket

import pytest

from broker import notify
from broker.notify import ALIVE, READY, Supervisor


@pytest.fixture(params=["a path", "an abstract name"])
def address(request, tmp_path):
    return str(tmp_path / "notify") if request.param == "a path" else f"@{tmp_path}/notify"


@pytest.fixture
def listener(address):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(address.replace("@", "\0"))
        listener.settimeout(30)
        yield listener


async def test_it_is_told(listener, address):
    await Supervisor({"NOTIFY_SOCKET": address}).tell(READY)

    assert listener.recv(100) == b"READY=1"


async def test_nobody_is_told_where_nobody_listens(caplog):
    await Supervisor({}).tell(READY)

    assert caplog.messages == []


async def test_that_it_is_gone_is_logged_and_nothing_else(caplog, tmp_path):
    gone = tmp_path / "gone"

    await Supervisor({"NOTIFY_SOCKET": str(gone)}).tell(READY)

    [line] = caplog.messages
    assert line == f"NOTIFY_SOCKET {gone}: cannot tell READY=1: No such file or directory"


async def test_one_that_has_no_room_is_waited_for(listener, address):
    supervisor = Supervisor({"NOTIFY_SOCKET": address})
    filled = fill(listener)

    telling = asyncio.ensure_future(supervisor.tell(READY))
    await asyncio.sleep(0)
    assert not telling.done()
    for _ in range(filled):
        listener.recv(100)
    await telling

    assert listener.recv(100) == b"READY=1"


async def test_one_that_never_has_room_is_not_waited_for_long(
    listener, address, caplog, monkeypatch
):
    monkeypatch.setattr(notify, "SEND_SECONDS", 0)
    fill(listener)

    await Supervisor({"NOTIFY_SOCKET": address}).tell(READY)

    [line] = caplog.messages
    assert line.endswith("cannot tell READY=1: no room within 0 s")


def fill(listener):
    """Send to a listener until it has no room; return how often."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        sender.connect(listener.getsockname())
        for number in range(10_000):
            try:
                sender.send(b"x")
            except BlockingIOError:
                return number
    raise AssertionError("a socket that never is full")


WATCHED = {"WATCHDOG_USEC": "2"}


@pytest.mark.parametrize("watched", [WATCHED, {**WATCHED, "WATCHDOG_PID": str(os.getpid())}])
async def test_it_hears_that_all_is_well_while_it_is(listener, address, watched):
    answers = [True, False, True]
    asked = asyncio.Event()

    def is_well():
        if answers:
            return answers.pop(0)
        asked.set()
        return False

    async with Supervisor({"NOTIFY_SOCKET": address, **watched}).reassured(is_well):
        await asked.wait()

    listener.setblocking(False)
    assert [listener.recv(100) for _ in range(2)] == [ALIVE.encode()] * 2
    with pytest.raises(BlockingIOError):
        listener.recv(100)


@pytest.mark.parametrize(
    "watched",
    [
        {},
        {"WATCHDOG_USEC": ""},
        {"WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": "soon"},
        {**WATCHED, "WATCHDOG_PID": "1"},  # another process is meant
    ],
)
async def test_one_that_does_not_wait_for_it_hears_nothing(listener, address, watched):
    async with Supervisor({"NOTIFY_SOCKET": address, **watched}).reassured(lambda: True):
        await asyncio.sleep(0)

    listener.setblocking(False)
    with pytest.raises(BlockingIOError):
        listener.recv(100)


async def test_it_hears_twice_within_its_patience(listener, address, monkeypatch):
    waited = []
    asleep = asyncio.Event()

    async def sleep(seconds):
        waited.append(seconds)
        asleep.set()
        await asyncio.Event().wait()

    environment = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "120000000"}
    with monkeypatch.context() as patch:
        patch.setattr(asyncio, "sleep", sleep)
        async with Supervisor(environment).reassured(lambda: True):
            await asleep.wait()

    assert waited == [60]
