"""More at once than the broker takes, whatever speaks HTTP: some are refused, the others served."""

import selectors
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import httpx
import pytest
from served import HTTP_SERVERS, Served

HELD = """
    import asyncio
    import os
    from broker import Interceptor, hookimpl

    class Held(Interceptor):
        async def before_publish(self, identity, batch):
            reader, writer = await asyncio.open_connection("127.0.0.1", os.environ["HELD_PORT"])
            await reader.read()
            writer.close()
            return batch

    @hookimpl
    def provide_interceptor(plugin):
        return Held()
"""
"""A publish is a connection to the test, and goes on when the test closes that."""

POLL = b"GET /queues/q/messages/consume?wait=20 HTTP/1.1\r\nhost: b\r\n\r\n"


@pytest.fixture(params=HTTP_SERVERS)
def serve(request, tmp_path):
    with ExitStack() as stack:

        def serve(**options):
            served = Served(tmp_path, http_server=request.param, **options)
            stack.callback(lambda: served.end())
            return served

        yield serve


@pytest.fixture
def connect():
    """Open connections that are closed at the end."""
    with ExitStack() as stack:

        def connect(served):
            connection = socket.create_connection(("127.0.0.1", served.port), timeout=30)
            return stack.enter_context(connection)

        yield connect


def test_one_more_request_than_there_may_be_in_flight_is_503(serve, install, site, monkeypatch):
    install("held", HELD)
    with socket.create_server(("127.0.0.1", 0)) as holder, ThreadPoolExecutor(2) as pool:
        holder.settimeout(30)
        monkeypatch.setenv("PYTHONPATH", str(site.directory))
        monkeypatch.setenv("HELD_PORT", str(holder.getsockname()[1]))
        served = serve(plugins=["held"], max_requests=2)
        with httpx.Client(base_url=served.url, timeout=30) as client:

            def publish():
                return client.post("/queues/q/messages", json={"content": "hello"})

            assert client.post("/queues", json={"name": "q"}).status_code == 201
            begun = [pool.submit(publish) for _ in range(2)]
            held = [holder.accept()[0] for _ in begun]

            refused = publish()

            assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
            assert refused.json()["code"] == "overloaded"
            assert client.get("/queues/q").status_code == 503
            assert client.get("/readyz").status_code == 200
            for connection in held:
                connection.close()
            assert [each.result().status_code for each in begun] == [201, 201]
            assert client.get("/queues/q").json()["counts"]["pending"] == 2


def answered(connections, count):
    """Wait until as many connections have an answer; return these, with the answers' heads."""
    with selectors.DefaultSelector() as selector:
        for connection in connections:
            selector.register(connection, selectors.EVENT_READ)
        answers = {}
        while len(answers) < count:
            for key, _ in selector.select():
                selector.unregister(key.fileobj)
                answers[key.fileobj] = key.fileobj.recv(65_536)
    return answers


def test_of_a_flood_of_long_polls_an_address_has_its_share(serve, connect):
    served = serve(broker={"max_waiting_per_identity": 100})
    with httpx.Client(base_url=served.url, timeout=30) as client:
        assert client.post("/queues", json={"name": "q"}).status_code == 201
        polls = [connect(served) for _ in range(300)]
        for poll in polls:
            poll.sendall(POLL)

        refused = answered(polls, 200)

        assert {answer.partition(b"\r\n")[0].split()[1] for answer in refused.values()} == {b"429"}
        assert all(b"retry-after: 1\r\n" in answer.lower() for answer in refused.values())
        assert client.get("/queues/q").status_code == 200
        waiting = [poll for poll in polls if poll not in refused]
        for _ in waiting:
            client.post("/queues/q/messages", json={"content": "hello"})
        messages = answered(waiting, 100)
        assert {answer.partition(b"\r\n")[0].split()[1] for answer in messages.values()} == {b"200"}


def test_the_place_of_a_client_that_went_is_taken_by_another(serve, connect):
    served = serve(broker={"max_waiting": 1})
    with httpx.Client(base_url=served.url, timeout=30) as client:
        assert client.post("/queues", json={"name": "q"}).status_code == 201
        for _ in range(3):
            polls = [connect(served) for _ in range(2)]
            for poll in polls:
                poll.sendall(POLL)
            [refused] = answered(polls, 1).values()
            assert refused.split()[1] == b"503"

            for poll in polls:
                poll.close()

            # Until the broker hears that it went, others are refused.
            while (answer := client.get("/queues/q/messages/consume?wait=0.01")).status_code == 503:
                pass
            assert answer.status_code == 204


def test_no_more_queues_are_made_than_there_may_be_also_after_a_restart(serve):
    served = serve(broker={"max_queues": 20})

    def create(name):
        return httpx.post(f"{served.url}/queues", json={"name": name}, timeout=30).status_code

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(create, [f"q{n}" for n in range(40)]))
    assert sorted(statuses) == [201] * 20 + [429] * 20
    served.end()
    served.start()

    assert create("another") == 429
    with httpx.Client(base_url=served.url) as client:
        [first, *_] = client.get("/queues").json()
        assert client.delete(f"/queues/{first['name']}").status_code == 204
    assert [create("another"), create("yet-another")] == [201, 429]
