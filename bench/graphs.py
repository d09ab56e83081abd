"""What GraphQL costs beside its engine: the way over HTTP, and the gate before it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import msgspec

from bench.figures import Measured, Row, Sample, collect
from bench.load import Result
from bench.servers import Server, broker, run_module

_SERVERS = ("hypercorn", "granian")
_LOAD = {"connections": 16, "answers": 1500, "warm_up": 100}
_MESSAGES = 50

_QUERY = """query Page($queue: String!, $first: Int!) {
  queue(name: $queue) {
    name
    messages(first: $first) {
      nodes { id state content createdAt deliveryCount }
      pageInfo { hasNextPage endCursor }
    }
  }
}"""
_REQUEST = {"query": _QUERY, "variables": {"queue": "q", "first": _MESSAGES}}

_KILOBYTE = """query Overview_N($prefix: String!, $first: Int!, $after: String) {
  queues(prefix: $prefix, first: $first, after: $after) {
    nodes {
      id
      name
      paused
      messageCount
      oldestAt
      policy {
        leaseSeconds
        maxDeliveries
        deadLetterQueue
        ordering
      }
      counts {
        ...States
      }
      messages(first: 5, state: [PENDING, FAILED]) {
        nodes {
          ...Shown
        }
        pageInfo {
          hasNextPage
          endCursor
        }
      }
    }
    pageInfo {
      hasNextPage
      endCursor
    }
  }
  me {
    subject
    scopes
  }
}

fragment States on Counts {
  pending
  scheduled
  processing
  processed
  failed
}

fragment Shown on Message {
  id
  state
  content
  contentType
  createdAt
  deliveryCount
  reason
  headers {
    name
    value
  }
}
"""
_GATED = {
    "query": _KILOBYTE.replace("Overview", "Overview".ljust(1024 - len(_KILOBYTE) + 8, "_")),
    "variables": {"prefix": "orders-", "first": 10},
}

_ROWS = (
    Row(name="50 messages on hypercorn / engine alone", at_least=0.8),
    Row(name="50 messages on granian / engine alone", at_least=0.8),
    Row(name="  on hypercorn", unit="/s"),
    Row(name="  on granian", unit="/s"),
    Row(name="  the engine alone", unit="/s"),
    Row(name="  one on hypercorn, of the processor", unit="ms"),
    Row(name="  one on granian, of the processor", unit="ms"),
    Row(name="  one by the engine alone", unit="ms"),
    Row(name="the gate, 1 KB that is new", unit="ms", at_most=1),
    Row(name="  and its validation", unit="ms"),
    Row(name="the gate, 1 KB that is known", unit="ms", at_most=1),
)


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What to execute, and how often."""

    directory: str
    """Where its database is made."""
    messages: int
    """How many are there to be found, of 100 bytes each."""
    body: bytes
    """A request for some of them."""
    tasks: int
    """How many execute it again and again, as connections ask again and again."""
    answers: int
    warm_up: int
    gated: bytes
    """A request that the gate is measured with, its first N a number."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured; times are seconds of the processor, of all threads."""

    rate: float
    """Executions a second."""
    execution: float
    """How long one takes, with what the storage has to do for it."""
    new: float
    """From the bytes of a request that nobody sent before to what may be executed."""
    validating: float
    """How much of that is spent on whether the schema has what is asked for."""
    known: float
    """From the bytes to what may be executed, if somebody sent them before."""


def measure(directory: Path, rounds: int) -> Iterator[Measured]:
    """Measure a query for 50 messages over HTTP beside the engine alone, and the gate."""
    with ExitStack() as stack:
        servers = []
        for name in _SERVERS:
            (directory / name).mkdir()
            serving = broker(directory / name, server=name, plugins=("storage_sqlite", "graphql"))
            servers.append(stack.enter_context(serving))
            _fill(servers[-1])
        samples = (tuple(_round(servers, directory, number)) for number in range(rounds))
        yield from collect(_ROWS, samples)


def _fill(server: Server) -> None:
    server.make_queue("q")
    url = f"http://127.0.0.1:{server.port}"
    messages = {"messages": [{"content": "x" * 100}] * _MESSAGES}
    httpx.post(f"{url}/queues/q/messages/batch", json=messages).raise_for_status()
    result = httpx.post(f"{url}/graphql", json=_REQUEST).json()
    if "errors" in result or len(result["data"]["queue"]["messages"]["nodes"]) != _MESSAGES:
        raise RuntimeError(f"the query is not answered: {result}")


def _round(servers: list[Server], directory: Path, number: int) -> Iterator[Sample]:
    # By turns, for the machine is seldom the same for whoever comes later.
    found = None if number % 2 else _alone(directory)
    results = [_ask(server) for server in servers]
    found = found or _alone(directory)
    for result, _ in results:
        yield Sample(result.rate / found.rate, result.cpu)
    for result, _ in results:
        yield Sample(result.rate, result.cpu)
    yield Sample(found.rate)
    for result, seconds in results:
        yield Sample(seconds * 1000, result.cpu)
    yield Sample(found.execution * 1000)
    yield Sample((found.new - found.validating) * 1000)
    yield Sample(found.validating * 1000)
    yield Sample(found.known * 1000)


def _ask(server: Server) -> tuple[Result, float]:
    """Return what came of asking, and what one answer took of the server's processor."""
    cpu = server.cpu_seconds()
    result = server.load("/graphql", _REQUEST, **_LOAD)
    answers = _LOAD["warm_up"] + _LOAD["answers"]
    return result, (server.cpu_seconds() - cpu) / answers


def _alone(directory: Path) -> Found:
    with tempfile.TemporaryDirectory(dir=directory) as own:
        job = Job(
            directory=own,
            messages=_MESSAGES,
            body=msgspec.json.encode(_REQUEST),
            tasks=_LOAD["connections"],
            answers=_LOAD["answers"],
            warm_up=_LOAD["warm_up"],
            gated=msgspec.json.encode(_GATED),
        )
        done = run_module("bench.executions", stdin=msgspec.json.encode(job))
    return msgspec.json.decode(done, type=Found)
