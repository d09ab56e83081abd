"""A storage that breaks, or answers what it was not asked for."""

import asyncio
import inspect

import pytest
from misbehaving import odd_errors

from broker import (
    LeaseResult,
    Maintenance,
    MessageQuery,
    NewMessage,
    Page,
    PublishResult,
    QueueExists,
    QueueSpec,
    Settle,
    Settled,
    SettleResult,
    Storage,
)
from broker.builtin.memory import MemoryStorage
from broker.errors import PluginFailure
from broker.isolation import Failures
from broker.operations.guarding import GuardedStorage
from broker.testing import ManualClock

MESSAGE = NewMessage(queue="q", body=b"")
QUERY = MessageQuery(queue="q")
SETTLE = Settle(id=1, queue="q", kind="ack")

CALLS = {
    "put_queue": ((QueueSpec("q"),), {"expect": None, "now": 1}),
    "get_queues": ((), {"now": 1}),
    "drop_queue": (("q",), {}),
    "publish": (([MESSAGE, MESSAGE],), {"now": 1}),
    "lease": (("q",), {"limit": 1, "lease_until": 2, "owner": "o", "now": 1}),
    "settle": (([SETTLE],), {"now": 1, "publish": [MESSAGE]}),
    "browse": ((QUERY,), {"now": 1}),
    "browse_each": (([QUERY],), {"now": 1}),
    "bulk": ((QUERY, "delete"), {"now": 1, "limit": 1}),
    "maintain": ((), {"now": 1, "limit": 1}),
}
"""How each operation is called."""

calls = pytest.mark.parametrize("operation", CALLS)


class Bench:
    """A storage whose operations all do the same."""

    def __init__(self, answer=None, *, error=None):
        async def operate(*args, **options):
            if error is not None:
                raise error
            return answer

        storage = MemoryStorage()
        for name in CALLS:
            setattr(storage, name, operate)
        self.failures = Failures(ManualClock())
        self.guarded = GuardedStorage("acme", storage, self.failures)

    async def call(self, operation):
        args, options = CALLS[operation]
        return await getattr(self.guarded, operation)(*args, **options)


def test_every_operation_is_guarded():
    operations = {
        name
        for name, method in vars(Storage).items()
        if inspect.isfunction(method) and not name.startswith("_")
    } - {"describe", "ping"}  # which only those ask who have the storage itself

    assert operations == {*CALLS, "watch"}
    assert operations <= vars(GuardedStorage).keys()


@calls
@pytest.mark.parametrize(**odd_errors)
async def test_whatever_a_storage_raises_is_its_failure(operation, error, caplog):
    bench = Bench(error=error)
    with pytest.raises(PluginFailure) as caught:
        await bench.call(operation)

    assert caught.value.problem == f'plugin "acme" failed to {operation}'
    assert caught.value.__cause__ is error
    assert bench.failures == {("acme", operation): 1}
    assert caplog.messages == [caught.value.problem]
    assert caplog.records[0].exc_info[1] is error


@calls
async def test_what_a_storage_refuses_is_no_failure(operation):
    bench = Bench(error=QueueExists("q"))
    with pytest.raises(QueueExists):
        await bench.call(operation)
    assert bench.failures == {}


@calls
@pytest.mark.parametrize("answer", [None, "ok", 7.5], ids=repr)
async def test_an_answer_of_another_kind_is_a_failure(operation, answer, caplog):
    with pytest.raises(PluginFailure):
        await Bench(answer).call(operation)
    assert f"TypeError: it answered {type(answer).__name__}, no " in caplog.text


@pytest.mark.parametrize(
    ("operation", "answer"),
    [
        ("get_queues", ["q"]),
        ("publish", [PublishResult(1), 2]),
        ("lease", LeaseResult(leases=None)),
        ("lease", LeaseResult(leases=[7])),
        ("lease", LeaseResult(leases=[], ended=(7,))),
        ("settle", Settled(results=[True])),
        ("settle", Settled(results=[SettleResult(id=1, outcome="ok")], published=[7])),
        ("browse", Page("messages")),
        ("browse", Page([None])),
        ("browse_each", [[]]),
        ("browse_each", [Page([7])]),
        ("bulk", [1]),
        ("maintain", Maintenance(ended=7)),
        ("maintain", Maintenance(ended=(7,))),
    ],
)
async def test_an_answer_made_of_another_kind_is_a_failure(operation, answer, caplog):
    with pytest.raises(PluginFailure):
        await Bench(answer).call(operation)
    assert "TypeError: it answered " in caplog.text


DONE = SettleResult(id=1, outcome="ok")


@pytest.mark.parametrize(
    ("operation", "answer"),
    [
        ("publish", []),
        ("publish", [PublishResult(1)]),
        ("publish", [PublishResult(1)] * 3),
        ("settle", Settled(results=[])),
        ("settle", Settled(results=[DONE, DONE])),
        ("settle", Settled(results=[DONE], published=[PublishResult(1)] * 2)),
        ("browse_each", []),
        ("browse_each", [Page([]), Page([])]),
    ],
)
async def test_an_answer_to_less_or_more_than_was_asked_is_a_failure(operation, answer, caplog):
    with pytest.raises(PluginFailure):
        await Bench(answer).call(operation)
    assert "TypeError: it did not answer each of what it was asked" in caplog.text


@pytest.mark.parametrize(
    ("operation", "answer"),
    [
        ("drop_queue", False),
        ("publish", [PublishResult(1), PublishResult(2)]),
        ("lease", LeaseResult(leases=[])),
        ("settle", Settled(results=[DONE])),
        ("settle", Settled(results=[DONE], published=[PublishResult(1)])),
        ("browse", Page([])),
        ("browse_each", [Page([])]),
        ("bulk", []),
        ("maintain", Maintenance()),
    ],
)
async def test_a_right_answer_is_passed_on_as_it_is(operation, answer):
    assert await Bench(answer).call(operation) is answer


async def test_who_goes_while_a_storage_is_at_it_is_no_failure_of_it():
    class Slow(MemoryStorage):
        async def drop_queue(self, name):
            await asyncio.Event().wait()

    failures = Failures(ManualClock())
    asking = asyncio.ensure_future(GuardedStorage("acme", Slow(), failures).drop_queue("q"))
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.wait([asking])

    assert asking.cancelled()
    assert failures == {}


@pytest.mark.parametrize(**odd_errors)
async def test_whatever_a_watch_raises_is_its_failure(error):
    class Watched(MemoryStorage):
        async def watch(self):
            yield "q"
            raise error

    guarded = GuardedStorage("acme", Watched(), Failures(ManualClock()))
    seen = []
    with pytest.raises(GeneratorExit if isinstance(error, GeneratorExit) else PluginFailure):
        async for queue in guarded.watch():
            seen.append(queue)
    assert seen == ["q"]


def test_a_guarded_storage_declares_what_the_storage_does():
    class Poor(MemoryStorage):
        capabilities = frozenset({"groups"})

    assert GuardedStorage("acme", Poor(), Failures(ManualClock())).capabilities == {"groups"}
