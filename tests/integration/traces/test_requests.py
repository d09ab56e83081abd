"""Requests as spans, whichever adapter serves them."""

import json

import pytest
from opentelemetry.trace import SpanKind, StatusCode
from spans import CALLER, TRACE, TRACEPARENT, ids, parent


def test_a_request_is_a_span_named_by_its_route(broker):
    answer = broker.call(
        "GET",
        "/v1/queues/q/messages?q=secret",
        headers={"cookie": "session=secret", "user-agent": "acme/1"},
    )

    span = broker.span("GET /queues/{queue}/messages")
    assert span.kind is SpanKind.SERVER
    assert span.status.status_code is StatusCode.UNSET
    assert span.parent is None
    assert dict(span.attributes) == {
        "http.request.method": "GET",
        "http.route": "/queues/{queue}/messages",
        "http.response.status_code": 200,
        "http.response.header.x-request-id": (answer.headers["x-request-id"],),
        "url.path": "/v1/queues/q/messages",
        "url.scheme": "http",
        "network.protocol.version": "1.1",
        "client.address": "203.0.113.7",
        "user_agent.original": "acme/1",
    }


def test_a_request_goes_on_with_the_trace_of_its_caller(broker):
    headers = {"traceparent": TRACEPARENT, "tracestate": "acme=1,other=2"}
    broker.call("GET", "/queues", headers=headers)

    span = broker.span("GET /queues")
    assert ids(span)[0] == TRACE
    assert parent(span) == CALLER
    assert span.parent.is_remote
    assert span.get_span_context().trace_state.to_header() == "acme=1,other=2"


@pytest.mark.parametrize(
    "headers",
    [
        [("traceparent", TRACEPARENT.upper())],
        [("traceparent", TRACEPARENT + "-00")],
        [("traceparent", TRACEPARENT.replace(CALLER, "0" * 16))],
        [("traceparent", "ff" + TRACEPARENT[2:])],
        [("traceparent", "1" * 9_000)],
        [("traceparent", "")],
        [("traceparent", TRACEPARENT), ("traceparent", TRACEPARENT)],
        [("tracestate", "acme=1")],
    ],
    ids=lambda headers: headers[0][1][:20],
)
def test_a_malformed_traceparent_begins_a_new_trace_and_tells_the_log_nothing(
    broker, caplog, headers
):
    assert broker.call("GET", "/queues", headers=headers).status == 200

    span = broker.span("GET /queues")
    assert (span.parent, ids(span)[0] == TRACE) == (None, False)
    assert caplog.records == []


@pytest.mark.parametrize("state", ["=", "a=1,a=2", "a", "A=1", ",".join(["a=" + "1" * 200] * 3)])
def test_a_malformed_tracestate_is_forgotten_and_tells_the_log_nothing(broker, caplog, state):
    broker.call("GET", "/queues", headers={"traceparent": TRACEPARENT, "tracestate": state})

    span = broker.span("GET /queues")
    assert parent(span) == CALLER
    assert not span.get_span_context().trace_state
    assert caplog.records == []


def test_what_a_client_does_wrong_is_no_error_of_the_span(broker):
    broker.call("PATCH", "/queues/q", json={"max_messages": 1})
    broker.call.publish()
    broker.spans()
    assert broker.call("POST", "/queues/q/messages", json={"content": "b"}).status == 429

    publish, request = broker.spans()
    assert [span.status.status_code for span in (publish, request)] == [StatusCode.UNSET] * 2
    assert publish.attributes["error.type"] == "queue-full"
    assert "error.type" not in request.attributes
    assert (publish.events, request.events) == ((), ())


def test_a_request_for_no_route_is_named_by_its_method(broker):
    assert broker.call("GET", "/nothing/here").status == 404

    [span] = broker.spans()
    assert span.name == "GET"
    assert "http.route" not in span.attributes


def test_a_method_that_somebody_made_up_names_no_span(broker):
    broker.call("BREW", "/queues")

    [span] = broker.spans()
    assert span.name == "HTTP"
    assert span.attributes["http.request.method"] == "_OTHER"
    assert span.attributes["http.request.method_original"] == "BREW"


def test_a_refused_body_is_a_span_of_its_route(broker):
    assert broker.call("POST", "/queues", body=b"x" * 70_000).status in (401, 413)

    [span] = broker.spans()
    assert span.name == "POST /queues"


def test_a_request_while_the_broker_drains_is_an_error(broker):
    broker.call.broker.drain()
    assert broker.call("GET", "/queues").status == 503

    [span] = broker.spans()
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes["error.type"] == "503"


SOURCE = """
from broker import Route, Transport, hookimpl

class Way(Transport):
    def routes(self):
        return [Route("GET", "/broken", fail)]

async def fail(request):
    raise ValueError("cannot read " + request.headers["authorization"])

@hookimpl
def provide_transport():
    return Way()
"""


def test_an_exception_is_recorded_without_what_it_says(traced, install):
    install("acme_way", SOURCE)
    broker = traced(plugins=["memory", "acme_way"])
    answer = broker.call("GET", "/broken", headers={"authorization": "Bearer hunter2"})
    assert answer.status == 500

    span = broker.span("GET /broken")
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description is None
    assert span.attributes["error.type"] == "500"
    [event] = span.events
    assert event.name == "exception"
    assert set(event.attributes) == {"exception.type", "exception.stacktrace"}
    assert event.attributes["exception.type"] == "ValueError"
    assert ", in fail" in event.attributes["exception.stacktrace"]
    assert "hunter2" not in json.dumps(json.loads(span.to_json()))
