"""What an interceptor may make of a batch, and what is done with one that breaks."""

import asyncio
from functools import partial

import msgspec
import pytest
from misbehaving import odd_errors

from broker import Identity, Interceptor, MessageTooLarge, NewMessage, Rejected, Unavailable
from broker.errors import PluginFailure
from broker.isolation import Failures
from broker.operations import intercepting
from broker.operations.intercepting import Interceptors
from broker.testing import ManualClock

ANA = Identity(subject="ana")
NOW = 1_000_000
ONE = NewMessage(queue="q", body=b"one", visible_at=NOW)
TWO = NewMessage(queue="r", body=b"two", visible_at=NOW, headers={"a": "b"})
BATCH = (ONE, TWO)
replace = msgspec.structs.replace


class Does(Interceptor):
    """Answers what a function makes of the batch."""

    def __init__(self, make):
        self.make = make

    async def before_publish(self, identity, batch):
        return self.make(batch)


class Raises(Interceptor):
    def __init__(self, error):
        self.error = error

    async def before_publish(self, identity, batch):
        raise self.error


class Hangs(Interceptor):
    async def before_publish(self, identity, batch):
        await asyncio.Event().wait()


class Bench:
    def __init__(self, *all):
        self.failures = Failures(ManualClock())
        self.interceptors = Interceptors([("acme", one) for one in all], self.failures)

    async def run(self, batch=BATCH):
        return await self.interceptors.intercept(ANA, batch, now=NOW, fit=fit)


def fit(draft):
    if len(draft.body) > 10:
        raise MessageTooLarge("too large for its queue")


def on_first(**changes):
    return lambda batch: [replace(batch[0], **changes), *batch[1:]]


async def test_a_batch_passes_from_one_to_the_next():
    seen = []
    add = Does(on_first(body=b"changed", priority=9))
    look = Does(lambda batch: seen.append(batch) or batch)

    changed = (replace(ONE, body=b"changed", priority=9), TWO)
    assert await Bench(add, look).run() == changed
    assert seen == [changed]


@pytest.mark.parametrize("kind", [list, tuple])
async def test_a_batch_that_is_as_it_was_passes(kind):
    assert await Bench(Does(kind)).run() == BATCH


@pytest.mark.parametrize(
    "changes",
    [
        {"visible_at": NOW - 5},
        {"visible_at": NOW + 60_000},
        {"expires_at": NOW},
        {"expires_at": NOW - 1},
        {"group": "g", "dedup_key": "k"},
        {"headers": {"x": "y"}},
        {"body": b""},
        {"body": b"x" * 10},
    ],
)
async def test_what_a_sender_may_write_an_interceptor_may(changes):
    assert await Bench(Does(on_first(**changes))).run() == (replace(ONE, **changes), TWO)


def broken_sequence(batch):
    class Broken(list):
        def __iter__(self):
            raise ValueError("secret")

    return Broken(batch)


def changed_in_place(value, batch):
    batch[1].headers["c"] = value
    return batch


PARTS = [
    ("None", lambda batch: None, "it returned no batch: NoneType"),
    ("text", lambda batch: "one", "it returned no message: str"),
    ("bytes", lambda batch: b"ab", "it returned no message: int"),
    ("a generator", iter, "it returned no batch: tuple_iterator"),
    ("a dict", lambda batch: dict.fromkeys(range(2)), "it returned no batch: dict"),
    ("bodies", lambda batch: [m.body for m in batch], "it returned no message: bytes"),
    (
        "dicts",
        lambda batch: list(map(msgspec.structs.asdict, batch)),
        "it returned no message: dict",
    ),
    ("fewer", lambda batch: batch[:1], "it changed how many messages go where"),
    ("more", lambda batch: [*batch, batch[0]], "it changed how many messages go where"),
    ("none", lambda batch: [], "it changed how many messages go where"),
    ("another order", lambda batch: batch[::-1], "it changed how many messages go where"),
    ("another queue", on_first(queue="elsewhere"), "it changed how many messages go where"),
    ("a queue that is no text", on_first(queue=None), "it changed how many messages go where"),
    ("text for a body", on_first(body="b25l"), "it returned no bytes for a body: str"),
    ("no body", on_first(body=None), "it returned no bytes for a body: NoneType"),
    ("a buffer", on_first(body=bytearray(b"a")), "it returned no bytes for a body: bytearray"),
]
"""What is wrong with the whole, and how the log tells."""

FIELDS = [
    {"body": b"x" * 11},
    {"content_type": None},
    {"content_type": ""},
    {"content_type": "a\r\nb: c"},
    {"content_type": b"text/plain"},
    {"headers": None},
    {"headers": []},
    {"headers": {"a": 1}},
    {"headers": {1: "a"}},
    {"headers": {"a\r\n": "b"}},
    {"headers": {"a": "x" * 100_000}},
    {"headers": dict.fromkeys(map(str, range(1000)), "")},
    {"priority": 10},
    {"priority": -1},
    {"priority": 4.5},
    {"priority": True},
    {"priority": "4"},
    {"group": ""},
    {"group": 7},
    {"dedup_key": "\x00"},
    {"dedup_key": b"k"},
    {"visible_at": None},
    {"visible_at": NOW + 0.5},
    {"visible_at": 2**70},
    {"expires_at": "soon"},
    {"expires_at": 2**63},
]
"""What is wrong with one field of one message."""


@pytest.mark.parametrize(
    ("make", "problem"), [part[1:] for part in PARTS], ids=[p[0] for p in PARTS]
)
async def test_what_is_no_batch_is_named_and_not_stored(make, problem, caplog):
    bench = Bench(Does(make))
    with pytest.raises(PluginFailure, match="^a plugin failed; the log tells more$") as caught:
        await bench.run()

    assert caught.value.problem == 'plugin "acme" failed to intercept a publish'
    assert caplog.messages == [caught.value.problem]
    assert caplog.text.endswith(f"\nTypeError: {problem}\n")
    assert bench.failures == {("acme", "intercept a publish"): 1}


@pytest.mark.parametrize("changes", FIELDS, ids=repr)
async def test_what_no_sender_may_write_no_interceptor_may(changes):
    with pytest.raises(PluginFailure):
        await Bench(Does(on_first(**changes))).run()


@pytest.mark.parametrize(
    "make", [broken_sequence, partial(changed_in_place, 7), partial(changed_in_place, "\x00")]
)
async def test_what_breaks_when_it_is_looked_at_is_not_stored(make):
    with pytest.raises(PluginFailure):
        await Bench(Does(make)).run((ONE, replace(TWO, headers={"a": "b"})))


async def test_a_batch_that_is_too_large_altogether_is_not_stored(monkeypatch):
    monkeypatch.setattr("broker.operations.checking.MAX_BATCH_BYTES", 12)
    with pytest.raises(PluginFailure):
        await Bench(Does(on_first(body=b"x" * 10))).run()
    assert await Bench(Does(on_first(body=b"x" * 9))).run()


async def test_what_an_interceptor_holds_of_a_batch_it_cannot_change_later():
    held = []
    keep = Does(lambda batch: held.append(batch) or batch)
    batch = await Bench(keep).run((ONE, replace(TWO, headers={"a": "b"})))
    held[0][1].headers["a"] = object()

    assert batch == BATCH


@pytest.mark.parametrize(**odd_errors)
async def test_whatever_an_interceptor_raises_is_its_failure(error):
    bench = Bench(Raises(error))
    with pytest.raises(PluginFailure) as caught:
        await bench.run()

    assert caught.value.problem == 'plugin "acme" failed to intercept a publish'
    assert caught.value.__cause__ is error
    assert bench.failures == {("acme", "intercept a publish"): 1}


async def test_an_interceptor_that_is_no_coroutine_is_named():
    class Plain(Interceptor):
        def before_publish(self, identity, batch):
            return batch

    with pytest.raises(PluginFailure):
        await Bench(Plain()).run()


async def test_what_an_interceptor_refuses_is_no_failure():
    bench = Bench(Raises(Rejected("no")))
    with pytest.raises(Rejected):
        await bench.run()
    assert bench.failures == {}


async def test_an_interceptor_that_hangs_is_a_503_that_names_nobody(monkeypatch, caplog):
    monkeypatch.setattr(intercepting, "PATIENCE_SECONDS", 0)
    bench = Bench(Hangs())
    with pytest.raises(Unavailable, match="^the broker could not take this publish in time$") as e:
        await bench.run()

    assert (e.value.status, e.value.retry_after) == (503, 1)
    assert caplog.messages == ['plugin "acme" failed to intercept a publish in time']
    assert bench.failures == {("acme", "intercept a publish in time"): 1}


async def test_who_goes_while_an_interceptor_hangs_is_no_failure_of_it():
    bench = Bench(Hangs())
    publishing = asyncio.ensure_future(bench.run())
    await asyncio.sleep(0)
    publishing.cancel()
    await asyncio.wait([publishing])

    assert publishing.cancelled()
    assert bench.failures == {}
