"""What a broker traces, whichever adapter serves it."""

import json

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from broker.tracing import exporting

ENDPOINT = "http://collector.test:4318"
TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{CALLER}-01"


class Traced:
    """A broker that traces, and what it told of."""

    def __init__(self, call, exporter):
        self.call = call
        self._exporter = exporter

    def spans(self):
        """The spans that ended since this was asked last, in the order of their ends."""
        self.call.assembly.tracing.provider.force_flush()
        spans = self._exporter.get_finished_spans()
        self._exporter.clear()
        return spans

    def span(self, name):
        [found] = [span for span in self.spans() if span.name == name]
        return found


@pytest.fixture
def exporters(monkeypatch):
    """The exporters of the brokers that were assembled, which keep what they get."""
    made = []

    def exporter_to(endpoint):
        made.append(InMemorySpanExporter())
        return made[-1]

    monkeypatch.setattr(exporting, "exporter_to", exporter_to)
    return made


@pytest.fixture
def traced(serve, exporters):
    def start(*, ratio=None, **settings):
        traces = {"endpoint": ENDPOINT, "ratio": ratio}
        call = serve(**{"traces": traces, "anonymous": True, **settings})
        traced = Traced(call, exporters[-1])
        if call("POST", "/queues", json={"name": "q"}).status == 201:
            traced.spans()
        return traced

    return start


@pytest.fixture
def broker(traced):
    return traced()


def ids(span):
    context = span.get_span_context()
    return f"{context.trace_id:032x}", f"{context.span_id:016x}"


def parent(span):
    return None if span.parent is None else f"{span.parent.span_id:016x}"


def linked(span):
    return [f"{link.context.span_id:016x}" for link in span.links]


def header(span):
    return "00-{}-{}-{:02x}".format(*ids(span), span.get_span_context().trace_flags)


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


def test_a_publish_is_a_producer_whose_context_the_message_carries(broker):
    broker.call.publish("hello")

    publish, request = broker.spans()
    assert publish.name == "publish q"
    assert publish.kind is SpanKind.PRODUCER
    assert parent(publish) == ids(request)[1]
    assert dict(publish.attributes) == {
        "messaging.system": "replika_broker",
        "messaging.operation.type": "send",
        "messaging.operation.name": "publish",
        "messaging.destination.name": "q",
        "messaging.message.id": "1",
        "replika_broker.storage": "memory",
    }
    [message] = broker.call.lease()
    assert message["headers"] == {"traceparent": header(publish)}


def test_a_lease_is_linked_to_what_published_each_message(broker):
    published = [broker.call.publish(text) for text in ("a", "b")]
    producers = [span for span in broker.spans() if span.kind is SpanKind.PRODUCER]
    broker.call.lease(limit=10)

    lease, request = broker.spans()
    assert lease.name == "lease q"
    assert lease.kind is SpanKind.CLIENT
    assert parent(lease) == ids(request)[1]
    assert linked(lease) == [ids(span)[1] for span in producers]
    assert [dict(link.attributes) for link in lease.links] == [
        {"messaging.message.id": str(message_id)} for message_id in published
    ]
    assert dict(lease.attributes) == {
        "messaging.system": "replika_broker",
        "messaging.operation.type": "receive",
        "messaging.operation.name": "lease",
        "messaging.destination.name": "q",
        "messaging.batch.message_count": 2,
        "replika_broker.storage": "memory",
    }


def test_one_message_is_named_by_the_span_that_leases_it(broker):
    message_id = broker.call.publish()
    broker.spans()
    assert broker.call("GET", "/queues/q/messages/consume").status == 200

    span = broker.span("lease q")
    assert span.attributes["messaging.message.id"] == str(message_id)
    assert "messaging.batch.message_count" not in span.attributes


def test_what_a_sender_says_of_its_trace_is_kept_and_linked(broker):
    headers = {"traceparent": TRACEPARENT, "tracestate": "acme=1", "mine": "too"}
    broker.call.publish(headers=headers)
    publish = broker.span("publish q")
    [message] = broker.call.lease()

    assert message["headers"] == headers
    assert linked(publish) == linked(broker.span("lease q")) == [CALLER]


def test_a_malformed_traceparent_of_a_message_is_kept_and_linked_by_nobody(broker):
    broker.call.publish(headers={"traceparent": "mine"})
    publish = broker.span("publish q")
    [message] = broker.call.lease()

    assert message["headers"] == {"traceparent": "mine"}
    assert linked(publish) == linked(broker.span("lease q")) == []


@pytest.mark.parametrize(
    "headers",
    [{str(n): "" for n in range(64)}, {"a": "x" * (16 * 1024 - 1)}],
    ids=["many", "large"],
)
def test_headers_without_room_for_a_context_are_left_alone(broker, headers):
    broker.call.publish(headers=headers)

    assert broker.call.lease()[0]["headers"] == headers


def test_a_batch_counts_its_messages_and_names_the_queue_only_if_it_is_one(broker):
    broker.call("POST", "/queues", json={"name": "r"})
    batch = [{"content": "a"}, {"content": "b"}]
    path = "/queues/q/messages/batch"
    assert broker.call("POST", path, json={"messages": batch}).status == 200

    span = broker.span("publish q")
    assert span.attributes["messaging.batch.message_count"] == 2
    assert "messaging.message.id" not in span.attributes


def test_a_settlement_is_a_span_named_after_what_is_done(broker):
    broker.call.publish()
    [message] = broker.call.lease()
    broker.spans()
    broker.call("POST", f"/messages/{message['id']}/ack", json={"receipt": message["receipt"]})

    ack, request = broker.spans()
    assert ack.name == "ack q"
    assert ack.kind is SpanKind.CLIENT
    assert request.name == "POST /messages/{id}/ack"
    assert dict(ack.attributes) == {
        "messaging.system": "replika_broker",
        "messaging.operation.type": "settle",
        "messaging.operation.name": "ack",
        "messaging.destination.name": "q",
        "messaging.message.id": str(message["id"]),
        "replika_broker.storage": "memory",
    }


def test_what_is_published_with_a_settlement_carries_a_span_of_its_own(broker):
    broker.call.publish()
    [message] = broker.call.lease()
    broker.spans()
    publish = [{"queue": "q", "content": "next"}]
    body = {"ack": [message["receipt"]], "publish": publish}
    assert broker.call("POST", "/messages/settle", json=body).status == 200

    inner, outer, _ = broker.spans()
    assert (inner.name, outer.name) == ("publish q", "ack q")
    assert parent(inner) == ids(outer)[1]
    assert broker.call.lease()[0]["headers"] == {"traceparent": header(inner)}


def test_other_calls_of_the_storage_are_spans_of_the_request(broker):
    broker.call("GET", "/queues/q/messages")

    browse, request = broker.spans()
    assert browse.name == "storage browse"
    assert browse.kind is SpanKind.INTERNAL
    assert parent(browse) == ids(request)[1]
    assert dict(browse.attributes) == {
        "messaging.system": "replika_broker",
        "messaging.destination.name": "q",
        "replika_broker.storage": "memory",
    }


def test_what_nobody_asked_for_is_no_span(broker):
    broker.call.advance(60)

    assert broker.spans() == ()


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


def test_a_trace_that_is_not_recorded_is_carried_on(traced):
    broker = traced(ratio=0)
    broker.call.publish()

    [message] = broker.call.lease()
    assert message["headers"]["traceparent"].endswith(("-00", "-02"))  # not the bit for sampled
    assert broker.spans() == ()


def test_a_caller_that_records_is_followed_whatever_the_ratio(traced):
    broker = traced(ratio=0)
    broker.call("GET", "/queues", headers={"traceparent": TRACEPARENT})

    assert [parent(span) for span in broker.spans()][-1] == CALLER


def test_the_span_of_a_stream_ends_when_it_begins(broker):
    broker.call.publish()
    producer = broker.span("publish q")
    pending = broker.call.begin("GET", "/queues/q/messages/stream")

    request, lease = sorted(broker.spans(), key=lambda span: span.kind.value)
    assert request.name == "GET /queues/{queue}/messages/stream"
    assert request.attributes["http.response.status_code"] == 200
    assert lease.parent is None
    assert linked(lease) == [ids(producer)[1]]
    broker.call.hang_up(pending)
    assert [span.name for span in broker.spans()] == ["release q"]


def test_consumers_see_the_context_of_a_message_however_it_comes(traced):
    broker = traced(plugins=["memory", "sse", "graphql"])
    following = broker.call.begin("GET", "/events?queue=q&event=message.published&payload=1")
    streaming = broker.call.begin("GET", "/queues/q/messages/stream")
    broker.call.publish()
    context = header(broker.span("publish q"))
    query = {"query": "{message(id: 1) {headers {name value}}}"}
    answer = broker.call("POST", "/graphql", json=query)
    for pending in (following, streaming):
        assert context in str(pending.outgoing)
        broker.call.hang_up(pending)

    told = {"name": "traceparent", "value": context}
    assert answer.json["data"]["message"]["headers"] == [told]


def test_a_request_that_is_not_recorded_asks_no_sampler_for_its_parts(traced, monkeypatch):
    broker = traced(ratio=0)
    asked = []
    sampler = broker.call.assembly.tracing.provider.sampler
    decide = sampler.should_sample

    def should_sample(context, trace_id, name, *more):
        asked.append(name)
        return decide(context, trace_id, name, *more)

    monkeypatch.setattr(sampler, "should_sample", should_sample)
    headers = {"traceparent": TRACEPARENT[:-1] + "0"}
    path = "/queues/q/messages"
    broker.call("POST", path, json={"content": "a"}, headers=headers)

    assert asked == ["POST /queues/{queue}/messages"]
    [message] = broker.call.lease()
    version, trace, span, flags = message["headers"]["traceparent"].split("-")
    assert (version, trace, flags) == ("00", TRACE, "00")
    assert span != CALLER


def test_two_brokers_in_one_process_share_nothing(traced):
    one, other = traced(), traced()
    one.call.publish()
    other.call("GET", "/queues")

    assert [span.name for span in one.spans()] == ["publish q", "POST /queues/{queue}/messages"]
    assert [span.name for span in other.spans()] == ["storage get_queues", "GET /queues"]
