"""Opening, asking and closing everything that plugins provide, as a start and a stop do.

All are open at the same time and in the order of serving, since the later ones use the earlier
ones. The broker's own upkeep does not run: it removes messages whose time has come. A transport
that listens by itself does so for this moment, at its own address.
"""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from typing import Any, TypeVar

from broker.assembly import Assembly, make_private_directory
from broker.doctor.finding import Finding, error, ok, warning
from broker.doctor.part import GRACE_SECONDS, Failure, Part
from broker.errors import BrokerError, ConfigError, StorageLocked
from broker.provider import Provider
from broker.wording import described

T = TypeVar("T")

_DONE = {"open": "opened", "ping": "answered", "close": "closed"}

PLUGIN_LOGS = "broker.plugins."


def run(trying: Coroutine[Any, Any, T]) -> T:
    """Run to the end in a loop of its own, whatever plugins left running in it."""
    loop = asyncio.new_event_loop()
    # What was left behind would be complained of when the loop is gone.
    loop.set_exception_handler(lambda _loop, _context: None)
    main = loop.create_task(trying)
    try:
        while not main.done():
            # Raised by a task of a plugin, it ends the loop, but not what goes on in it.
            with suppress(SystemExit):
                loop.run_until_complete(main)
        return main.result()
    finally:
        if asyncio.all_tasks(loop):
            gc.freeze()  # who does not end when cancelled does not when collected, either
        loop.close()


async def try_providers(assembly: Assembly, seconds: float) -> list[Finding]:
    """Open, ping and close each provider, lifespan and transport, each step in so many seconds."""
    try:
        make_private_directory(assembly.data_dir)
    except ConfigError as refused:
        return [error("provider-open", "broker.data_dir", str(refused))]
    first = [_provider(*named, seconds) for named in assembly.providers.in_order()]
    then = [_lifespan(*named, seconds) for named in assembly.lifespans]
    then += [_provider(*named, seconds) for named in assembly.transports]
    parts = [*first, *then]
    findings: dict[Part, list[Finding]] = {part: [] for part in parts}
    with _overheard() as lines:
        for part in parts:
            needed = first[:1] if part in then else []
            needed += [p for p in parts[: parts.index(part)] if p.plugin == part.plugin]
            missing = next((p for p in needed if not p.is_open), None)
            if missing is None:
                await part.do("open")
            else:
                text = f"{part.kind} was not opened, because {missing.kind} is not open"
                findings[part].append(warning("not-opened", part.plugin, text))
            if part.is_open:
                await part.do("ping")
        for part in reversed(parts):
            await part.do("close")
        await _end(parts)
    told = [finding for part in parts for finding in findings[part] or _told(part)]
    return [*told, *(warning("provider-log", subject, line) for subject, line in lines)]


async def _end(parts: Sequence[Part]) -> None:
    for part in parts:
        part.end()
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    if left:
        await asyncio.wait(left, timeout=GRACE_SECONDS)


def _provider(name: str, provider: Provider, seconds: float) -> Part:
    return Part(
        name,
        type(provider).__name__,
        {"open": provider.open, "ping": provider.ping, "close": provider.close},
        seconds=seconds,
        has_deadline=provider.open_has_deadline,
    )


def _lifespan(name: str, manager: AbstractAsyncContextManager[None], seconds: float) -> Part:
    async def leave() -> None:
        if part.is_open:
            await manager.__aexit__(None, None, None)

    part = Part(
        name,
        "its lifespan",
        {"open": manager.__aenter__, "close": leave},
        seconds=seconds,
    )
    return part


def _told(part: Part) -> Iterator[Finding]:
    for failure in part.failures:
        yield _failed(part, failure)
    if not part.failures:
        steps = ", ".join(f"{step} {1000 * took:.0f} ms" for step, took in part.took.items())
        yield ok("provider", part.plugin, f"{part.kind}: {steps}")


def _failed(part: Part, failure: Failure) -> Finding:
    step, cause = failure.step, failure.cause
    check, subject = f"provider-{step}", part.plugin
    if cause is None:
        text = f"{part.kind} was not {_DONE[step]} within {part.seconds:g} s"
        if step == "ping":
            text = f"{part.kind} did not answer within {part.seconds:g} s"
    elif isinstance(cause, BrokerError):
        text = str(cause)
    else:
        text = f"{part.kind}.{step} failed: {described(cause)}"
    if _is_in_use(cause):
        return warning("in-use", subject, text)
    # A stop goes on all the same; and a start waits for those who need not open in time.
    if step == "close" or (cause is None and step == "open" and not part.has_deadline):
        return warning(check, subject, text)
    exit_code = cause.exit_code if isinstance(cause, BrokerError) else 78 if step == "open" else 1
    return error(check, subject, text, exit_code=exit_code)


def _is_in_use(cause: BaseException | None) -> bool:
    while cause is not None:
        if isinstance(cause, StorageLocked):
            return True
        if isinstance(cause, OSError) and cause.errno == errno.EADDRINUSE:
            return True
        cause = cause.__cause__
    return False


@contextmanager
def _overheard() -> Iterator[dict[tuple[str, str], None]]:
    """Collect what is warned of in the log, with whose it is; it is shown nowhere else."""
    lines: dict[tuple[str, str], None] = {}

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            name = record.name.removeprefix(PLUGIN_LOGS)
            lines[name if name != record.name else "broker", record.getMessage()] = None

    ear, logger = Ear(logging.WARNING), logging.getLogger("broker")
    logger.addHandler(ear)
    try:
        yield lines
    finally:
        logger.removeHandler(ear)
