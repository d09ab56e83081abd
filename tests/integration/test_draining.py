"""SIGTERM under load, whatever speaks HTTP: what was answered is what was done."""

import http.client
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from served import HTTP_SERVERS, Served, begin, read_all

PUBLISHERS = 8
WARM = 50
JSON = {"content-type": "application/json"}


@pytest.fixture(params=HTTP_SERVERS)
def served(request, tmp_path):
    served = Served(tmp_path, http_server=request.param)
    for queue in ("q", "empty"):
        served.run("queue", "create", queue)
    return served


def publish_until_refused(port, warm):
    """Publish over one connection after the other; return how many got a 201."""
    published = 0
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            while True:
                connection.request("POST", "/queues/q/messages", b'{"content": "x"}', JSON)
                answer = connection.getresponse()
                answer.read()
                if answer.status != 201:
                    assert answer.status == 503
                    break
                published += 1
                warm.release()
        except (http.client.HTTPException, ConnectionError):
            if is_closed(port):
                return published
        finally:
            connection.close()


def is_closed(port):
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionError:
        return True
    return False


def test_under_load_what_was_answered_with_201_is_what_is_stored(served):
    warm = threading.Semaphore(0)
    idle, polls = (
        [socket.create_connection(("127.0.0.1", served.port)) for _ in range(20)] for _ in "12"
    )
    for connection in polls:
        begin(connection, "/queues/empty/messages/lease", b'{"wait": 20}')
        connection.sendall(b'{"wait": 20}')
    with ThreadPoolExecutor(PUBLISHERS) as pool:
        publishers = [
            pool.submit(publish_until_refused, served.port, warm) for _ in range(PUBLISHERS)
        ]
        for _ in range(WARM):
            warm.acquire()
        code = served.end()
        published = sum(publisher.result() for publisher in publishers)
    answers = [read_all(connection) for connection in polls]
    for connection in idle + polls:
        connection.close()
    served.start()
    counts = served.counts("q")
    served.end()

    assert code == 0
    assert "did not end in time" not in served.log()
    assert "Traceback" not in served.log()
    assert {answer.partition(b" ")[2][:3] for answer in answers} == {b"200"}
    assert {answer.rpartition(b"\n")[2] for answer in answers} == {
        b'{"messages":[],"paused":false}'
    }
    assert counts["pending"] == published
    assert published >= WARM
