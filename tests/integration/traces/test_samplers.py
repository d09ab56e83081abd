"""Which traces are recorded, and what becomes of those that are not."""

from spans import CALLER, TRACE, TRACEPARENT, parent


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
