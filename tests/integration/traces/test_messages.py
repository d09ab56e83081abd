"""What becomes of messages as spans: linked by the context that each carries."""

import pytest
from opentelemetry.trace import SpanKind
from spans import CALLER, TRACEPARENT, header, ids, linked, parent


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
