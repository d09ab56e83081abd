"""What clients hear of errors: all of those that are meant for them, and nothing of others."""

import asyncio
import json

import broker.errors
import pytest
from broker import BrokerError, FieldError, Request
from broker.problems import problem_response
from broker_graphql.assembly import RESOLVERS
from graphql import GraphQLError
from graphs import graph
from tartiflette.types.exceptions.tartiflette import MultipleException, TartifletteError

SECRET = "postgres://user:secret@host"


class Coercible(Exception):
    """tartiflette would ask it how it is told."""

    def coerce_value(self, *_, **__):
        return {"message": SECRET, "path": None, "locations": []}


class Unspeakable(Exception):
    def __str__(self):
        raise RuntimeError(SECRET)


class Original(Exception):
    original_error = exceptions = path = locations = SECRET


UNEXPECTED = [
    RuntimeError(SECRET),
    KeyError(SECRET),
    ExceptionGroup(SECRET, [ValueError(SECRET)]),
    Coercible(SECRET),
    Unspeakable(SECRET),
    Original(SECRET),
    TartifletteError(SECRET, extensions={"dsn": SECRET}),
    MultipleException([RuntimeError(SECRET), TartifletteError(SECRET)]),
    GraphQLError(SECRET, extensions={"dsn": SECRET}),
    BrokerError(SECRET),
    RecursionError(SECRET),
    TimeoutError(SECRET),
    OSError(5, SECRET, "/etc/secret"),
    UnicodeDecodeError("utf-8", SECRET.encode(), 0, 1, SECRET),
]


def raising(error):
    async def resolve(_, __, **___):
        raise error

    return resolve


@pytest.fixture
def resolve(monkeypatch):
    """Resolve a field otherwise, in graphs that are opened then."""
    return lambda place, resolver: monkeypatch.setitem(RESOLVERS, place, resolver)


def masked(*path, column=3):
    return {
        "message": "Internal error",
        "locations": [{"line": 1, "column": column}],
        "path": list(path),
        "extensions": {"code": "internal", "request_id": "r-1"},
    }


@pytest.mark.parametrize("error", UNEXPECTED, ids=lambda error: type(error).__name__)
async def test_of_an_unexpected_error_only_the_log_tells(tmp_path, resolve, caplog, error):
    resolve("Query.me", raising(error))
    async with graph(tmp_path) as one:
        response = await one.post({"query": "{ me { subject } }"})
        served, now = one.broker.served, one.clock.now()
    assert json.loads(response.body) == {"data": {"me": None}, "errors": [masked("me")]}
    assert served.last_error == (type(error).__name__, now)
    [record] = [record for record in caplog.records if record.levelname == "ERROR"]
    assert record.getMessage() == "something went wrong in request r-1"
    assert record.exc_info[1] is error


async def test_an_exception_that_is_returned_counts_as_raised(tmp_path, resolve):
    resolve("Query.me", lambda _, __: RuntimeError(SECRET))
    async with graph(tmp_path) as one:
        result = await one.ask("{ me { subject } }")
    assert result == {"data": {"me": None}, "errors": [masked("me")]}


@pytest.mark.parametrize(
    ("place", "query", "value"),
    [
        ("Me.subject", "{ me { subject } }", None),
        ("Me.subject", "{ me { subject } }", {"dsn": SECRET}),
        ("Me.isAnonymous", "{ me { isAnonymous } }", SECRET),
        ("Me.expiresAt", "{ me { expiresAt } }", SECRET),
        ("Me.expiresAt", "{ me { expiresAt } }", 10**30),
        ("Me.scopes", "{ me { scopes } }", 5),
        ("Me.scopes", "{ me { scopes } }", SECRET.encode),
    ],
)
async def test_a_value_that_is_not_of_its_type_is_not_told(tmp_path, resolve, place, query, value):
    resolve(place, lambda _, __: value)
    async with graph(tmp_path) as one:
        response = await one.post({"query": query})
        assert one.broker.served.last_error is not None
    [error] = json.loads(response.body)["errors"]
    assert error == masked("me", query.split()[3], column=8)
    assert b"secret" not in response.body


@pytest.mark.parametrize(
    "name",
    [
        "tartiflette.execution.execute.collect_fields",
        "tartiflette.execution.execute.get_field_definition",
        "tartiflette.coercers.outputs.common.collect_subfields",
        "tartiflette.coercers.outputs.common.execute_fields",
        "tartiflette.resolver.factory.coerce_arguments",
    ],
)
async def test_an_error_of_the_engine_itself_is_masked(tmp_path, monkeypatch, caplog, name):
    def fail(*_, **__):
        raise KeyError(SECRET)

    async with graph(tmp_path) as one:
        monkeypatch.setattr(name, fail)
        response = await one.post({"query": "{ me { subject } }"})
        assert one.broker.served.last_error[0] == "KeyError"
    result = json.loads(response.body)
    assert [error["message"] for error in result["errors"]] == ["Internal error"]
    assert b"secret" not in response.body
    assert SECRET in caplog.text


EXPECTED = {
    "Unauthenticated": (),
    "InvalidToken": (),
    "Forbidden": ("read:orders",),
    "QueueNotFound": ("orders",),
    "MessageNotFound": (7,),
    "QueueExists": ("orders",),
    "Invalid": ([FieldError("limit", "expected 1 to 100", 0), FieldError("wait", "no")],),
    "Unsupported": ("memory", "search", "q"),
    "Rejected": ("no invoices here",),
    "RateLimited": (2.5,),
    "QueueFull": ("orders", "max_messages"),
    "TooManyQueues": (10,),
    "TooManyWaiting": (10, "broker.max_waiting"),
    "PluginFailure": ("acme", "intercept a publish"),
    "StorageFailed": (SECRET,),
    "PluginError": ("acme", "is broken"),
    "CannotListen": ("127.0.0.1", 1, "it is taken"),
}
"""What they are made of, where it is not a sentence."""


def all_errors(kind=BrokerError):
    for child in kind.__subclasses__():
        if child.__module__ == broker.errors.__name__:
            yield make_error(child)
            yield from all_errors(child)


def make_error(kind):
    if kind.__name__ == "VersionMismatch":
        return kind("orders", expected=3, found=4)
    if kind.__name__ == "NothingSettled":
        return kind([FieldError("settlements[0]", "LOST")], of=2)
    return kind(*EXPECTED.get(kind.__name__, ("it cannot be done",)))


@pytest.mark.parametrize("error", list(all_errors()), ids=lambda error: type(error).__name__)
async def test_an_error_of_the_broker_is_told_as_rest_does(tmp_path, resolve, caplog, error):
    resolve("Query.me", raising(error))
    async with graph(tmp_path) as one:
        result = await one.ask("{ me { subject } }")
    request = Request(method="POST", path="/graphql", headers={}, request_id="r-1")
    problem = json.loads(problem_response(error, request).body)
    [told] = result["errors"]
    assert told["extensions"]["code"] == problem["code"]
    if problem["code"] == "internal":
        assert told == masked("me")
        assert f"{error.problem} in request r-1" in caplog.text
        return
    assert told["message"] == problem["detail"]
    assert told["extensions"].get("retry_after") == error.retry_after
    assert told["extensions"].get("errors") == problem.get("errors")
    assert "secret" not in json.dumps(result)


@pytest.mark.parametrize(
    "received",
    [b"bytes", float("nan"), 10**400, object, {1: {2}}, [None], "\x00", 1e308],
)
async def test_whatever_was_received_can_be_told(tmp_path, resolve, received):
    resolve("Query.me", raising(broker.errors.Invalid([FieldError("limit", "no", received)])))
    async with graph(tmp_path) as one:
        assert await one.codes("{ me { subject } }") == ["invalid"]


class TestCancelling:
    async def test_who_is_cancelled_cancels_all_that_is_waited_for(self, tmp_path, resolve):
        begun, cancelled = asyncio.Semaphore(0), []

        async def wait(*_, **__):
            begun.release()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.append(True)
                raise

        resolve("Query.me", wait)
        resolve("Query.queue", wait)
        async with graph(tmp_path) as one:
            before = asyncio.all_tasks()
            query = '{ me { subject } queue(name: "a") { name } }'
            task = asyncio.create_task(one.ask(query))
            await begun.acquire()
            await begun.acquire()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert one.broker.served.last_error is None
            assert asyncio.all_tasks() <= before  # those of the broker's upkeep come and go
        assert cancelled == [True, True]

    async def test_who_is_cancelled_in_a_mutation_begins_no_more(self, tmp_path, resolve):
        begun, calls = asyncio.Event(), []

        async def wait(_, __, *, queue):
            calls.append(queue)
            begun.set()
            await asyncio.Event().wait()

        resolve("Mutation.redrive", wait)
        async with graph(tmp_path) as one:
            query = 'mutation { a: redrive(queue: "a") b: redrive(queue: "b") }'
            task = asyncio.create_task(one.ask(query))
            await begun.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert calls == ["a"]

    async def test_what_was_cancelled_elsewhere_is_an_error(self, tmp_path, resolve):
        async def wait(_, __):
            future = asyncio.get_running_loop().create_future()
            future.cancel()
            await future

        resolve("Query.me", wait)
        async with graph(tmp_path) as one:
            result = await one.ask("{ me { subject } a: __typename }")
        assert result == {"data": {"me": None, "a": "Query"}, "errors": [masked("me")]}
