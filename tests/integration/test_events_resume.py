"""Clients that lose their connection and come back, to real servers: no gap and no duplicate."""

import json
import random
import threading
from contextlib import contextmanager

import httpx
import pytest
from httpx_sse import connect_sse
from served import HTTP_SERVERS, Served

DISCONNECTS = 1_000
AHEAD = 2_000
"""How many messages there may be of which the reader does not know yet."""


@pytest.fixture(params=HTTP_SERVERS)
def serve(request, tmp_path):
    started = []

    def start(**sse):
        table = "[plugins.sse]\n" + "".join(f"{key} = {value}\n" for key, value in sse.items())
        broker = {"max_streams": 5_000, "max_streams_per_identity": 5_000}
        settings = {"tables": table, "broker": broker, "http_server": request.param}
        started.append(Served(tmp_path, plugins=["sse"], **settings))
        return started[-1]

    yield start
    for served in started:
        if served.process.poll() is None:
            served.end()


@pytest.fixture
def served(serve):
    return serve()


@contextmanager
def client(served):
    with httpx.Client(base_url=served.url, timeout=60) as client:
        yield client


@contextmanager
def events(client, last=None, **query):
    """The events of a stream, as httpx-sse has them, but for what is none to a browser."""
    headers = {} if last is None else {"last-event-id": last}
    with connect_sse(client, "GET", "/events", params=query, headers=headers) as source:
        source.response.raise_for_status()
        yield (event for event in source.iter_sse() if event.data)


def make(client, *queues):
    for queue in queues:
        assert client.post("/queues", json={"name": queue}).status_code == 201


def publish(client, queue, count):
    body = {"messages": [{"content": "x"}] * count}
    answer = client.post(f"/queues/{queue}/messages/batch", json=body)
    return [result["message_id"] for result in answer.raise_for_status().json()["results"]]


class Publisher(threading.Thread):
    """Publishes to some queues all the time, a little ahead of who reads."""

    def __init__(self, served, rng):
        super().__init__()
        self._served = served
        self._rng = rng
        self._room = threading.Semaphore(AHEAD)
        self._is_over = False
        self.published = []

    def run(self):
        with client(self._served) as connection:
            while not self._is_over:
                count = self._rng.choice([1, 1, 1, 5, 40])
                for _ in range(count):
                    self._room.acquire()
                ids = publish(connection, self._rng.choice(["wanted-1", "wanted-2"]), count)
                self.published += ids
                publish(connection, "other", 1)

    def note_read(self):
        self._room.release()

    def end(self):
        self._is_over = True
        self._room.release(AHEAD)
        self.join()


def test_a_thousand_disconnects_lose_nothing_and_repeat_nothing(served):
    rng = random.Random(served.port)
    with client(served) as connection:
        make(connection, "wanted-1", "wanted-2", "other")
    publisher = Publisher(served, rng)
    publisher.start()
    try:
        received = read_with_disconnects(served, publisher, rng)
    finally:
        publisher.end()

    assert received == publisher.published[: len(received)]
    assert len(received) > DISCONNECTS


def read_with_disconnects(served, publisher, rng):
    """Come back a thousand times, and be gone after a few events, or before the first."""
    received, last = [], None
    asked = {"queue": "wanted-*", "event": "message.published"}
    with client(served) as connection:
        for number in range(DISCONNECTS):
            with events(connection, last or "earliest", **asked) as stream:
                for _ in range(rng.choice([0, 0, 1, 2, 5, 30, 300 * (number % 10 == 0)])):
                    event = next(stream)
                    last = event.id
                    data = json.loads(event.data)
                    if event.event == "open":
                        assert data["gap"] is False, number
                        continue
                    received.append(data["message_id"])
                    publisher.note_read()
    return received


def test_beyond_the_history_there_is_a_gap_and_what_is_left(serve):
    served = serve(history=100)
    with client(served) as connection:
        make(connection, "q")
        with events(connection) as stream:
            last = next(stream).id
        ids = publish(connection, "q", 150)
        with events(connection, last) as stream:
            opening = json.loads(next(stream).data)
            received = [json.loads(next(stream).data)["message_id"] for _ in range(100)]

    assert opening["gap"] is True
    assert received == ids[50:]


@pytest.mark.parametrize("place", ["header", "query"])
def test_an_id_that_is_none_of_ours_is_a_gap_and_no_error(served, place):
    with client(served) as connection:
        with events(connection) as stream:
            newest = next(stream).id
        for given in ("0-1", newest + "0", "nonsense", "-", "\xff", "x" * 1_000, "e 1"):
            if place == "header":
                opened = events(connection, given.encode())
            else:
                opened = events(connection, last_event_id=given)
            with opened as stream:
                expected = {"resumed_from": None, "gap": True}
                assert json.loads(next(stream).data) == expected, given


def test_a_restart_of_the_broker_is_a_gap(served):
    with client(served) as connection:
        make(connection, "q")
        with events(connection, "earliest") as stream:
            assert next(stream).event == "open"
            last = next(stream).id
    assert served.end() == 0
    served.start()
    with client(served) as connection:
        with events(connection, last) as stream:
            assert json.loads(next(stream).data) == {"resumed_from": None, "gap": True}
            publish(connection, "q", 1)
            assert next(stream).event == "message.published"


def test_a_large_batch_is_no_reason_to_drop_anybody(served):
    with client(served) as reader, client(served) as writer:
        make(writer, "q")
        with events(reader, event="message.published") as stream:
            assert next(stream).event == "open"
            ids = publish(writer, "q", 1_000)
            received = [json.loads(next(stream).data)["message_id"] for _ in ids]

    assert received == ids


def test_what_cannot_be_asked_is_a_bad_request(served):
    bad = ["qeue=a", "event=nothing", "queue=a%0Ab", "queue=%ff", "queue=" + "x" * 256]
    bad += ["queue=" + "a," * 50 + "a", "last_event_id=a&last_event_id=b", "event="]
    with client(served) as connection:
        for query in bad:
            answer = connection.get(f"/events?{query}")
            assert (answer.status_code, answer.json()["code"]) == (400, "malformed"), query
        assert connection.get("/stream/missing").status_code == 404
        assert connection.get("/stream/a%20b").status_code == 422
