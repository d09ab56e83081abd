"""The storage as a broker that traces has it: the same storage."""

import inspect

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode, set_span_in_context
from opentelemetry.context import attach, detach

from broker import MessageQuery, NewMessage, QueueFull, QueueSpec, Settle, Storage
from broker.builtin.memory import MemoryStorage
from broker.errors import PluginFailure, StorageFailed
from broker.tracing.storage import TracedStorage

MESSAGE = NewMessage(queue="q", body=b"")
QUERY = MessageQuery(queue="q")

CALLS = {
    "put_queue": ((QueueSpec("q"),), {"expect": None, "now": 1}),
    "get_queues": (
        (),
        {"names": ["q"], "prefix": "p", "after": "a", "limit": 5, "now": 1},
    ),
    "drop_queue": (("q",), {}),
    "lease": (("q",), {"limit": 1, "lease_until": 2, "owner": "o", "now": 1}),
    "settle": (([Settle(id=1, queue="q", kind="ack")],), {"now": 1}),
    "browse": ((QUERY,), {"now": 1}),
    "browse_each": (([QUERY],), {"now": 1}),
    "bulk": ((QUERY, "delete"), {"now": 1, "limit": 1}),
    "maintain": ((), {"now": 1, "limit": 1}),
}
"""How each operation is called, but for publish, whose messages are changed."""


class Bench:
    """A traced storage whose operations all do the same, and the spans of it."""

    def __init__(self, answer=None, *, error=None):
        self.asked = []
        exporter = InMemorySpanExporter()
        self.spans = exporter.get_finished_spans
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        self.tracer = provider.get_tracer("test")

        async def operate(*args, **options):
            self.asked.append((args, options))
            if error is not None:
                raise error
            return answer

        storage = MemoryStorage()
        for name in (*CALLS, "publish"):
            setattr(storage, name, operate)
        self.storage = TracedStorage("acme", storage, self.tracer)

    async def call(self, operation, *args, **options):
        """Call as a request does, whose span is left out."""
        token = attach(set_span_in_context(self.tracer.start_span("request")))
        try:
            return await getattr(self.storage, operation)(*args, **options)
        finally:
            detach(token)


def test_every_operation_is_passed_on():
    names = {name for name, _ in inspect.getmembers(Storage, inspect.iscoroutinefunction)}

    own = names - {"open", "close", "ping", "notices"}
    assert own == {*CALLS, "publish"} == own & {*vars(TracedStorage)}


class Answer:
    leases = ()


@pytest.mark.parametrize("operation", CALLS)
@pytest.mark.parametrize("asked", [True, False], ids=["asked", "unasked"])
async def test_arguments_and_answers_pass_as_they_are(operation, asked):
    args, options = CALLS[operation]
    bench = Bench(answer := Answer())
    call = bench.call if asked else lambda name, *a, **o: getattr(bench.storage, name)(*a, **o)

    assert await call(operation, *args, **options) is answer
    assert bench.asked == [(args, options)]
    assert len(bench.spans()) == (asked or operation == "settle")


@pytest.mark.parametrize(
    ("error", "kind", "recorded"),
    [
        (QueueFull("q", "max_messages"), "queue-full", None),
        (StorageFailed("secret"), "storage-failed", "broker.errors.StorageFailed"),
        (ZeroDivisionError("secret"), "ZeroDivisionError", "ZeroDivisionError"),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("operation", CALLS)
async def test_failures_pass_and_are_told_of_without_what_they_say(
    operation, error, kind, recorded
):
    args, options = CALLS[operation]
    bench = Bench(error=error)
    with pytest.raises(type(error)) as caught:
        await bench.call(operation, *args, **options)

    assert caught.value is error
    [span] = bench.spans()
    assert span.attributes["error.type"] == kind
    assert span.status.status_code is (StatusCode.ERROR if recorded else StatusCode.UNSET)
    assert [event.attributes["exception.type"] for event in span.events] == (
        [recorded] if recorded else []
    )
    assert "secret" not in span.to_json()


async def test_of_what_a_plugin_broke_with_the_cause_is_recorded():
    error = PluginFailure("acme", "lease")
    error.__cause__ = KeyError("secret")
    bench = Bench(error=error)
    with pytest.raises(PluginFailure):
        await bench.call("browse", QUERY, now=1)

    [span] = bench.spans()
    assert span.attributes["error.type"] == "internal"
    assert span.events[0].attributes["exception.type"] == "KeyError"


def test_what_the_storage_can_do_is_what_it_declares():
    assert Bench().storage.capabilities == MemoryStorage.capabilities
