"""Executions without HTTP around them: a process of its own, as the servers are.

It reads a job as JSON from stdin and prints what came of it as JSON.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from itertools import count
from statistics import median
from typing import Any

import msgspec
from broker_graphql.config import GraphqlConfig
from broker_graphql.executor import Executor
from broker_graphql.gate.asking import read_asked
from broker_graphql.gate.validation import check_valid
from broker_graphql.transport import GraphqlTransport
from graphql import parse

from bench.graphs import Found, Job
from broker import Draft, Identity, QueueSpec
from broker.assembly import Assembly, assemble
from broker.config import make_config

IDENTITY = Identity(subject="bench", scopes=frozenset({"admin"}))
TURNS = 200


async def measure(job: Job) -> Found:
    """Execute with nothing around it; read requests and execute nothing."""
    table = {"plugins": ["storage_sqlite", "graphql"], "disable": ["log"], "anonymous": True}
    settings = {"broker": {**table, "data_dir": job.directory}}
    assembly = assemble(make_config(settings))
    async with assembly.running():
        broker = assembly.broker
        await broker.queues.create(IDENTITY, QueueSpec("q"))
        await broker.publish(IDENTITY, [Draft(queue="q", body=b"x" * 100)] * job.messages)
        executor = _executor_of(assembly)
        rate, execution = await _execute(executor, job)
        new, validating, known = _gate(executor, job)
        return Found(rate=rate, execution=execution, new=new, validating=validating, known=known)


def _executor_of(assembly: Assembly) -> Executor:
    [transport] = [found for name, found in assembly.transports if name == "graphql"]
    assert isinstance(transport, GraphqlTransport)
    return transport.executor


async def _execute(executor: Executor, job: Job) -> tuple[float, float]:
    """Return how many are executed a second, and how long one takes the processor."""
    operation = executor.prepare(read_asked(job.body, GraphqlConfig()), IDENTITY)
    left = count(-job.warm_up)
    start, cpu = 0.0, 0.0

    async def execute_again() -> None:
        nonlocal start, cpu
        while (number := next(left)) < job.answers:
            if number == 0:
                start, cpu = time.perf_counter(), time.process_time()
            execution = executor.begin(IDENTITY, request_id="bench", recheck=None)
            result: dict[str, Any] = await executor.execute(operation, execution)
            if "errors" in result:
                raise RuntimeError(str(result["errors"]))

    async with asyncio.TaskGroup() as group:
        for _ in range(job.tasks):
            group.create_task(execute_again())
    seconds = time.perf_counter() - start
    return job.answers / seconds, (time.process_time() - cpu) / job.answers


def _gate(executor: Executor, job: Job) -> tuple[float, ...]:
    """Return the seconds for a new request, for the validation in it, and for a known one."""
    config = GraphqlConfig()
    times = []
    for number in range(TURNS):
        body = job.gated.replace(b"N", b"%d" % number, 1)
        tree = parse(msgspec.json.decode(body)["query"])
        times.append(
            (
                _seconds(lambda body=body: executor.prepare(read_asked(body, config), IDENTITY)),
                _seconds(
                    lambda tree=tree: check_valid(tree, executor.schema, hide_suggestions=False)
                ),
                _seconds(lambda body=body: executor.prepare(read_asked(body, config), IDENTITY)),
            )
        )
    return tuple(median(column) for column in zip(*times, strict=True))


def _seconds(do: Callable[[], object]) -> float:
    start = time.thread_time()
    do()
    return time.thread_time() - start


if __name__ == "__main__":
    asked = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
    sys.stdout.buffer.write(msgspec.json.encode(asyncio.run(measure(asked))))
