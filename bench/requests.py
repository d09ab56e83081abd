"""Publishes over the routes, without an HTTP server and without a disk, so that little is as much
as it can be: a process of its own, which prints as JSON what traces add.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from http import HTTPStatus
from pathlib import Path
from statistics import median
from typing import Any

import msgspec
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from broker.assembly import assemble
from broker.config import make_config
from broker.testing import Client
from broker.tracing import exporting

PUBLISHES = 500
TURNS = 15

_MESSAGE = {"content": "x" * 100}
_ENDPOINT = "http://127.0.0.1:4318"

Do = Callable[[], Awaitable[None]]


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """How long one publish takes the processor, of all threads, in seconds."""

    untraced: float
    unrecorded: float
    """With traces of which none is recorded."""
    recorded: float
    """With a span for the request, and one for the publish; not sent anywhere."""


class _Nowhere(SpanExporter):
    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:  # noqa: ARG002  # the exporter keeps nothing
        return SpanExportResult.SUCCESS


async def measure(directory: Path) -> Found:
    """Publish in each way by turns: the machine is seldom the same for whoever comes later."""
    exporting.exporter_to = lambda _: _Nowhere()
    settings: dict[str, Mapping[str, Any]] = {
        "untraced": {},
        "unrecorded": {"endpoint": _ENDPOINT, "ratio": 0},
        "recorded": {"endpoint": _ENDPOINT, "ratio": 1},
    }
    async with AsyncExitStack() as stack:
        ways = {name: await _publisher(stack, directory, one) for name, one in settings.items()}
        times: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(TURNS):
            for name, do in ways.items():
                times[name].append(await _seconds(do))
    return Found(**{name: median(found) for name, found in times.items()})


async def _publisher(stack: AsyncExitStack, directory: Path, traces: Mapping[str, Any]) -> Do:
    broker = {"plugins": ["memory"], "disable": ["log"], "anonymous": True}
    tables = {"broker": {**broker, "data_dir": str(directory)}, "traces": traces}
    client = await stack.enter_async_context(Client(assemble(make_config(tables))))
    await client.create_queue("q")

    async def publish() -> None:
        answer = await client.post("/queues/q/messages", json=_MESSAGE)
        assert answer.status == HTTPStatus.CREATED, answer.body

    return publish


async def _seconds(do: Do) -> float:
    start = time.process_time()
    for _ in range(PUBLISHES):
        await do()
    return (time.process_time() - start) / PUBLISHES


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(asyncio.run(measure(Path(sys.argv[1])))))
