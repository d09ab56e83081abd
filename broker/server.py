"""`broker serve`: bind, open, serve until a signal, drain, close; the same with every server."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import resource
import signal
import socket
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from broker.assembly import Assembly, assemble, make_private_directory
from broker.context import Clock
from broker.ending import END_SECONDS, Ending
from broker.errors import CannotListen
from broker.logs.keeping import kept
from broker.logs.lines import Tell
from broker.mounting import mount
from broker.notify import READY, STOPPING, Supervisor
from broker.safety import refuse_open_door
from broker.serving import Serve, server_named
from broker.serving.endpoint import BACKLOG, PIECE_BYTES, Endpoint
from broker.serving.strictness import Strictness
from broker.serving.tls import certificate_of

if TYPE_CHECKING:
    from broker.config import Config
    from broker.engine import Broker

Started = Callable[[Assembly, int, Sequence[str]], None]
"""Is told the port in use, and what the plugins have to say to whoever starts the broker."""

MOST_FILES = 65_536
"""How many open files are asked for; the usual limit, 1024, is for programs that use select."""

RESERVED_FILES = 64
"""How many open files connections leave to storages and all others."""

SILENT_SECONDS = 25
"""How long a client may take none of what is sent, and not even say that it came. A stream sends
something every 15 s at least: so one whose client is gone without a word ends within 45 s."""

SPARE_SECONDS = 1.0
"""How much longer than a server keeps to itself it may take to end."""

CUT_SECONDS = 5.0
"""How long requests may take to end when they are cut off."""

STOP_SECONDS = SPARE_SECONDS + CUT_SECONDS + END_SECONDS
"""How much longer than `unready_seconds` and `shutdown_seconds` a broker that is told to stop takes
at most."""

COLLECTIONS = 100
"""How many smaller collections come before a full one: ten times as many as by default."""

logger = logging.getLogger("broker.server")


def run_server(config: Config, *, insecure: bool, started: Started) -> None:
    """Serve until SIGTERM or SIGINT; `started` is called once.

    Raises StartupError for whatever keeps the broker from starting, and StorageFailed, when all
    is closed, if it was the storage that ended it.
    """
    refuse_open_door(config, insecure=insecure)
    serve = server_named(config.server.http_server)
    make_private_directory(config.broker.data_dir)
    clock = Clock()
    with kept(config, clock) as log:
        certificate = certificate_of(config)
        assembly = assemble(config, clock=clock)
        assembly.broker.served.lines_dropped = log.dropped
        room = room_for_connections(config.server.max_connections)
        with listen(config.server.host, config.server.port) as listener:
            endpoint = Endpoint(
                *(listener, certificate, config.server.shutdown_seconds, room),
                note_connections=assembly.broker.served.note_connections,
            )
            unready_seconds = config.server.unready_seconds
            with Ending() as ending:
                running = _run(
                    *(assembly, serve, endpoint, unready_seconds),
                    started=started,
                    access=log.access,
                    ending=ending,
                )
                asyncio.run(running)


def room_for_connections(wanted: int | None) -> int:
    """Return how many connections there may be at once: as many as wanted, or as there may be
    open files but for those of others; of files, take as many as the system lets us have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < MOST_FILES:
        soft = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    possible = MOST_FILES if soft == resource.RLIM_INFINITY else soft
    return max(1, min(possible - RESERVED_FILES, wanted or possible))


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; raises CannotListen."""
    try:
        [family, _, _, _, address] = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.create_server(address[:2], family=family, backlog=BACKLOG)
    except socket.gaierror as error:
        raise CannotListen(host, port, error.strerror or str(error)) from error
    except OSError as error:
        raise CannotListen(host, port, os.strerror(error.errno or 0)) from error
    _bound_silence(listener)
    return listener


def _bound_silence(listener: socket.socket) -> None:
    """Have the system notice those who are gone without a word, and those who do not read; all
    connections inherit that from their listener."""
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 1000 * SILENT_SECONDS)
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):  # else some 4 MB would wait for who does not read
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, PIECE_BYTES)


async def _run(
    assembly: Assembly,
    serve: Serve,
    endpoint: Endpoint,
    unready_seconds: float,
    *,
    started: Started,
    access: Tell | None,
    ending: Ending,
) -> None:
    signals, supervisor = _Signals(), Supervisor(os.environ)
    running = assembly.running()
    opening = asyncio.ensure_future(running.__aenter__())
    if not await _done_before(opening, signals.stop):
        opening.cancel()  # what is open already is closed by that
        await asyncio.wait([opening])
        return
    await opening
    failure = asyncio.ensure_future(assembly.broker.failure())
    failure.add_done_callback(lambda _: signals.stop.set())
    try:
        notices = await assembly.notices()
        drained = asyncio.Event()
        app = Strictness(mount(assembly, access=access))
        serving = asyncio.ensure_future(serve(app, endpoint, drained))
        started(assembly, endpoint.listener.getsockname()[1], notices)
        _spare_the_collector()
        await supervisor.tell(READY)
        async with supervisor.reassured(lambda: not _is_hopeless(assembly.broker)):
            await _done_before(serving, signals.stop)
            await supervisor.tell(STOPPING)
            if not failure.done():
                assembly.broker.retire()
                await _done_before(serving, signals.hurry, unready_seconds)
            # In this order: from here on no request is begun, and the server ends those that were.
            assembly.broker.drain()
            drained.set()
            await end(serving, endpoint.grace_seconds, signals.hurry)
    finally:
        ending.begin()
        await running.__aexit__(None, None, None)
    if not failure.cancel():
        raise failure.result()


def _is_hopeless(broker: Broker) -> bool:
    """Tell, as /healthz does, whether only a restart helps; one that ends is let end."""
    return broker.health.is_stuck and not broker.retiring


class _Signals:
    """SIGTERM and SIGINT: the first tells the broker to stop, another one to wait for nobody."""

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self.hurry = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._note)

    def _note(self) -> None:
        if self.stop.is_set():
            self.hurry.set()
        self.stop.set()


async def _done_before(
    work: asyncio.Future[Any], stop: asyncio.Event, seconds: float | None = None
) -> bool:
    """Wait for the work or for `stop`, no longer than so many seconds; tell whether the work is
    done."""
    stopped = asyncio.ensure_future(stop.wait())
    await asyncio.wait([work, stopped], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    return work.done()


async def end(serving: asyncio.Future[None], grace_seconds: float, hurry: asyncio.Event) -> None:
    """Wait until a server that drains has ended; cut it off after the grace, or in a hurry."""
    if await _done_before(serving, hurry, grace_seconds + SPARE_SECONDS):
        serving.result()
        return
    logger.warning("requests in flight did not end in time")
    serving.cancel()
    await asyncio.wait([serving], timeout=CUT_SECONDS)
    if not serving.done():
        logger.error("requests in flight go on although they were cut off; nobody waits for them")
    elif not serving.cancelled():
        serving.exception()  # cut off, Hypercorn may fail


def _spare_the_collector() -> None:
    """Let no full collection look through what was made to start, and lives until the end.

    That would be some 50 ms again and again, in which nobody is served; and with thousands of
    connections open 200 ms, so that there shall be one a minute rather than one a second.
    """
    gc.collect()
    gc.freeze()
    youngest, middle, _ = gc.get_threshold()
    gc.set_threshold(youngest, middle, COLLECTIONS)
