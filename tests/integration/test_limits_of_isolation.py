"""What no broker in one process can contain, in a served one: what comes of it for those who ask,
and what is left of what was acknowledged."""

import os
import signal
import socket
import sys
from contextlib import ExitStack

import httpx
import pytest
from served import HTTP_SERVERS, Served, begin

PLUGIN = """
    import asyncio, ctypes, os
    from broker import Interceptor, Observer, hookimpl

    GATE = os.open(os.environ["GATE"], os.O_RDWR)  # so that nobody waits for the other end
    HOLDING = ctypes.PyDLL(None)  # calls of which keep the interpreter's lock


    async def leave():
        raise SystemExit(5)


    class Ends(Interceptor):
        async def before_publish(self, identity, batch):
            match batch[0].queue:
                case "exits":
                    os._exit(7)
                case "crashes":
                    ctypes.string_at(0)
                case "leaves":
                    self.task = asyncio.ensure_future(leave())
                    await asyncio.Event().wait()
                case "blocks":
                    os.read(GATE, 1)
            return batch


    class Holds(Observer):
        kinds = frozenset({"message.published"})

        def notify(self, events):
            if events[0].queue == "holds":
                HOLDING.read(GATE, ctypes.create_string_buffer(1), 1)


    @hookimpl
    def provide_interceptor():
        return Ends()


    @hookimpl
    def provide_observer():
        return Holds()
"""

ENDS = {"exits": 7, "crashes": -signal.SIGSEGV, "leaves": 5}
"""With which code the process ends."""

JSON = {"content-type": "application/json"}
MESSAGE = b'{"content": "x"}'


@pytest.fixture(params=HTTP_SERVERS)
def served(request, tmp_path, install, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
    monkeypatch.setenv("GATE", str(tmp_path / "gate"))
    os.mkfifo(tmp_path / "gate")
    install("ends", PLUGIN)
    served = Served(tmp_path, plugins=["ends"], http_server=request.param)
    for queue in ("sound", "holds", "blocks", *ENDS):
        assert httpx.post(f"{served.url}/queues", json={"name": queue}).status_code == 201
    yield served
    served.process.kill()
    served.process.wait()


def send(served, stack, queue):
    """Publish, and wait for no answer."""
    connection = stack.enter_context(socket.create_connection(("127.0.0.1", served.port)))
    begin(connection, f"/queues/{queue}/messages", MESSAGE)
    connection.sendall(MESSAGE)


def is_alive(served):
    """Ask as a supervisor does, who waits for a second."""
    try:
        return httpx.get(f"{served.url}/healthz", timeout=1).status_code == 200
    except httpx.TimeoutException:
        return False


@pytest.mark.parametrize("how", ENDS)
def test_what_was_acknowledged_outlives_a_process_that_a_plugin_ends(served, how):
    with ExitStack() as stack:
        http = stack.enter_context(httpx.Client(base_url=served.url, timeout=60))
        for _ in range(20):
            answer = http.post("/queues/sound/messages", content=MESSAGE, headers=JSON)
            assert answer.status_code == 201
        send(served, stack, how)
        assert served.process.wait(60) == ENDS[how]
    served.process.stdout.close()
    served.start()

    assert (served.counts("sound")["pending"], served.counts(how)["pending"]) == (20, 0)
    assert served.end() == 0


@pytest.mark.parametrize("how", ["blocks", "holds"])
def test_who_watches_notices_that_a_plugin_stops_all_others(served, how):
    assert is_alive(served)
    with ExitStack() as stack:
        send(served, stack, how)
        while is_alive(served):
            pass
        with open(served.directory / "gate", "wb") as gate:
            gate.write(b"x")
        while not is_alive(served):
            pass

        assert httpx.get(f"{served.url}/queues/{how}").json()["counts"]["pending"] == 1
    assert served.end() == 0
