"""Streams as spans, and what consumers see of traces."""

from spans import header, ids, linked, parent


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
