"""What strangers send, and what it does to the numbers, the log and the traces of a broker: nothing."""

import json
import re
import socket
from itertools import count

import pytest
from collector import Collector
from served import HTTP_SERVERS, Served, read_all

METHODS = {"*", "DELETE", "GET", "PATCH", "POST", "PUT"}
"""Those of routes, and one for whatever has no route."""


@pytest.fixture(params=HTTP_SERVERS)
def start(request, tmp_path):
    """Start a broker, of whatever it shall be told."""
    started = []

    def start(**options):
        started.append(Served(tmp_path, http_server=request.param, **options))
        return started[-1]

    yield start
    for served in started:
        if served.process.poll() is None:
            served.end()


def ask(served, target, *fields, method=b"GET"):
    """Send a request as it stands; return the status of the answer."""
    head = [method + b" " + target + b" HTTP/1.1", b"host: a", b"connection: close", *fields]
    with socket.create_connection(("127.0.0.1", served.port)) as connection:
        connection.sendall(b"\r\n".join(head) + b"\r\n\r\n")
        answer = read_all(connection)
    return int(answer.split(b" ", 2)[1])


def ask_for_all_kinds_of_things(call, names):
    """Ask by names that were never there: of methods, paths, queues, files, requests and programs."""
    for name in names:
        headers = {"x-request-id": name, "user-agent": name}
        call(name.upper(), "/queues", headers=headers)
        call(name.upper(), f"/{name}", headers=headers)
        for path in ("/", "/queues/", "/v1/queues/", "/docs/", "/logs/", "/messages/"):
            call("GET", path + name, headers=headers)
        call("POST", f"/queues/{name}/messages", json={"content": "x"}, headers=headers)
        call("GET", "/queues", headers={**headers, "authorization": f"Bearer {name}"})
        call("GET", f"/queues?{name}={name}", headers=headers)


def shown(broker):
    """All that the metrics tell apart: names, and labels."""
    return {(one.name, labels) for one in broker.measure() for labels in one.points}


def test_whatever_strangers_ask_the_numbers_tell_no_more_apart(call):
    def routes():
        return call("GET", "/stats").json["requests_by_route"].keys()

    names = (f"never{number}" for number in count())
    ask_for_all_kinds_of_things(call, [next(names)])
    routes()
    before = routes(), shown(call.broker)
    ask_for_all_kinds_of_things(call, [next(names) for _ in range(20)])

    assert (routes(), shown(call.broker)) == before
    labels = {labels for name, labels in before[1] if name.startswith("broker_http_request")}
    assert {method for method, *_ in filter(None, labels)} <= METHODS
    assert "never" not in str(before)


ESCAPE = b"\x1b[31m"
HOSTILE = [
    (b"/queues/%0d%0a%1b%5b31m%e2%80%a8%e2%80%ae%c2%85%00",),
    (b"/%0a%7b%22level%22:%22error%22%7d",),
    (b"/queues", b"x-request-id: two words"),
    (b"/queues", b"x-request-id: " + b"x" * 129),
    (b"/queues", b"x-request-id: \xe2\x80\xae"),
    (b"/queues", b"user-agent: \xe2\x80\xa8\xc2\x85", b"traceparent: \xe2\x80\xae"),
    (b"/queues", b'forwarded: for="\xe2\x80\xae"', b"x-forwarded-for: \xe2\x80\xa8"),
    (b"/queues?access_token=s3cr3t-1",),
    (b"/events?ticket=s3cr3t-2",),
    (b"/events?token=s3cr3t-3",),
    (b"/nowhere/token=s3cr3t-4",),
    (b"http://ana:s3cr3t-5@a/nowhere",),
    (b"/queues", b"authorization: Basic czNjcjN0LTY6czNjcjN0LTY="),
    (b"/nowhere", b"cookie: broker_session=s3cr3t-7", b"x-api-key: s3cr3t-8"),
    (b"/" + b"x" * 6000,),
    (b"/%ff%ed%a0%80",),
]
REFUSED_OR_TOLD = [
    (b"/queues", b"x-request-id: " + ESCAPE),
    (b"/" + ESCAPE,),
    (b"/queues", b"user-agent: " + ESCAPE),
]
"""Which one server refuses for what it is, and another answers."""


def test_each_request_is_one_line_whatever_it_is_made_of(start):
    served = start(plugins=["sse"], log={"requests": True})
    statuses = [ask(served, target, *fields) for target, *fields in HOSTILE]
    statuses.append(ask(served, b"/queues", method=b"X" * 300))
    for target, *fields in REFUSED_OR_TOLD:
        ask(served, target, *fields)
    ask(served, b"/queues", b"x-request-id: last")
    served.end()

    log = served.log()
    [file] = served.directory.glob("broker_log_*.json")
    assert file.read_text() == log
    lines = log.removesuffix("\n").split("\n")
    assert [line for line in lines if not line.isprintable()] == []
    told = [json.loads(line) for line in lines]
    assert {one["logger"] for one in told} <= {"broker.access", "broker.serving"}
    assert [one["status"] for one in told][: len(statuses)] == statuses
    assert told[-1]["request_id"] == "last"
    assert max(map(len, lines)) < 2000
    assert re.findall(r"s3cr3t-\d|czNj", log) == []


def test_no_path_keeps_the_spans_of_others_from_being_sent(start):
    with Collector() as collector:
        served = start(tables=f'[traces]\nendpoint = "{collector.url}"')
        for target in (b"/%ff", b"/%ed%a0%80", b"/queues/%00%ff", b"/" + b"%f0" * 2000):
            ask(served, target, b"user-agent: \xff\xfe", b"tracestate: \xff")
        assert ask(served, b"/healthz") == 200
        served.end()

    spans = [one.attributes for one in collector.spans if "url.path" in one.attributes]
    assert [len(one["url.path"]) for one in spans] == [2, 4, 10, 1024, 8]
    assert spans[-1]["url.path"] == "/healthz"


@pytest.mark.parametrize("answers", [False, True])
def test_nobody_waits_for_a_collector(start, monkeypatch, answers):
    """It takes connections and no more, or begins an answer that has no end."""
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "1")
    with socket.create_server(("127.0.0.1", 0)) as collector:
        port = collector.getsockname()[1]
        served = start(tables=f'[traces]\nendpoint = "http://127.0.0.1:{port}"')
        assert ask(served, b"/healthz") == 200
        connection, _ = collector.accept()
        if answers:
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n")
        statuses = {ask(served, b"/healthz") for _ in range(50)}
        code = served.end()
        connection.close()

    assert (statuses, code) == ({200}, 0)
    assert "the last spans were not sent within 2 s, and are lost" in served.log()
