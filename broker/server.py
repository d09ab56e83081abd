"""`broker serve`: bind, open, serve with Hypercorn until a signal, drain, close."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hypercorn.asyncio import serve as hypercorn_serve
from hypercorn.config import Config as HypercornConfig

from broker.assembly import Assembly, assemble
from broker.errors import CannotListen
from broker.mounting import mount
from broker.safety import refuse_open_door

if TYPE_CHECKING:
    from broker.config import Config

BACKLOG = 1024

logger = logging.getLogger("broker.server")


def run_server(config: Config, *, insecure: bool, started: Callable[[Assembly, int], None]) -> None:
    """Serve until SIGTERM or SIGINT; `started` is called once, with the port in use.

    Raises StartupError for whatever keeps the broker from starting.
    """
    refuse_open_door(config, insecure=insecure)
    assembly = assemble(config)
    with listen(config.server.host, config.server.port) as listener:
        asyncio.run(_serve(assembly, config, listener, started))


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; raises CannotListen."""
    try:
        [family, _, _, _, address] = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        return socket.create_server(address[:2], family=family, backlog=BACKLOG)
    except socket.gaierror as error:
        raise CannotListen(host, port, error.strerror or str(error)) from error
    except OSError as error:
        raise CannotListen(host, port, os.strerror(error.errno or 0)) from error


async def _serve(
    assembly: Assembly,
    config: Config,
    listener: socket.socket,
    started: Callable[[Assembly, int], None],
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    running = assembly.running()
    opening = asyncio.ensure_future(running.__aenter__())
    if not await _done_before(opening, stop):
        opening.cancel()  # what is open already is closed by that
        await asyncio.wait([opening])
        return
    await opening
    try:
        await _serve_until(stop, assembly, config, listener, started)
    finally:
        await running.__aexit__(None, None, None)


async def _done_before(work: asyncio.Future[Any], stop: asyncio.Event) -> bool:
    """Wait for the work or for `stop`; tell whether the work is done."""
    stopped = asyncio.ensure_future(stop.wait())
    await asyncio.wait([work, stopped], return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    return work.done()


async def _serve_until(
    stop: asyncio.Event,
    assembly: Assembly,
    config: Config,
    listener: socket.socket,
    started: Callable[[Assembly, int], None],
) -> None:
    drained = asyncio.Event()
    server = asyncio.ensure_future(
        hypercorn_serve(
            mount(assembly),
            _hypercorn_config(listener, config.server.shutdown_seconds),
            shutdown_trigger=drained.wait,
        )
    )
    started(assembly, listener.getsockname()[1])
    _spare_the_collector()
    await _done_before(server, stop)
    # In this order: from here on no request is begun, and Hypercorn ends those that were.
    assembly.broker.drain()
    drained.set()
    # Hypercorn's own grace does not bound the wait for connections on Python 3.12 and later.
    await asyncio.wait([server], timeout=config.server.shutdown_seconds + 1)
    if not server.done():
        logger.warning("requests in flight did not end in time")
        server.cancel()
    await asyncio.wait([server])
    if not server.cancelled():
        server.result()


def _spare_the_collector() -> None:
    """Let no full collection look through what was made to start, and lives until the end.

    That would be some 50 ms again and again, in which nobody is served.
    """
    gc.collect()
    gc.freeze()


def _hypercorn_config(listener: socket.socket, grace_seconds: float) -> HypercornConfig:
    config = HypercornConfig()
    config.bind = [f"fd://{os.dup(listener.fileno())}"]  # Hypercorn closes what it is given
    config.backlog = BACKLOG
    config.graceful_timeout = grace_seconds
    config.keep_alive_max_requests = 2**62
    config.errorlog = logging.getLogger("broker.hypercorn")
    config.errorlog.setLevel(logging.WARNING)  # its "Running on" is said better by the screen
    config.include_server_header = False
    return config
