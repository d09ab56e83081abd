"""Telling what started the broker how it is, as sd_notify(3) describes; systemd, for example."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

READY = "READY=1"
STOPPING = "STOPPING=1"
ALIVE = "WATCHDOG=1"

SEND_SECONDS = 1.0
"""How long is waited for a supervisor that has no room for what it is told."""

logger = logging.getLogger("broker.server")


class Supervisor:
    """What started the broker, as its environment describes it; nothing is told where nobody
    listens."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        self._patience = _patience(environment)

    async def tell(self, state: str) -> None:
        """Tell it; that it cannot be told is logged, and changes nothing else."""
        if not self._address:
            return
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self._send(state)
        except OSError as error:  # which a TimeoutError is
            problem = error.strerror or f"no room within {SEND_SECONDS:g} s"
            logger.warning("NOTIFY_SOCKET %s: cannot tell %s: %s", self._address, state, problem)

    @asynccontextmanager
    async def reassured(self, is_well: Callable[[], bool]) -> AsyncIterator[None]:
        """Say as often as it wants to hear it, while the block lasts, that all is well; say nothing
        while it is not."""
        if self._patience is None:
            yield
            return
        # Twice within its patience, as sd_watchdog_enabled(3) asks for.
        reassuring = asyncio.ensure_future(self._reassure(is_well, self._patience / 2))
        try:
            yield
        finally:
            reassuring.cancel()
            await asyncio.wait([reassuring])

    async def _reassure(self, is_well: Callable[[], bool], seconds: float) -> None:
        while True:
            if is_well():
                await self.tell(ALIVE)
            await asyncio.sleep(seconds)

    async def _send(self, state: str) -> None:
        # A name that begins with @ is in Linux's abstract namespace, where that is a null byte.
        address = self._address.replace("@", "\0", 1) if self._address[0] == "@" else self._address
        # Connected, or the loop would not hear of room; each time, or a new supervisor would not.
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as connection:
            connection.setblocking(False)
            connection.connect(address)
            await asyncio.get_running_loop().sock_sendall(connection, state.encode())


def _patience(environment: Mapping[str, str]) -> float | None:
    """Return after how many seconds of silence the supervisor restarts this process, None for
    never, or if it is another process that it listens to."""
    process = environment.get("WATCHDOG_PID", "")
    microseconds = environment.get("WATCHDOG_USEC", "")
    if not microseconds.isdecimal() or int(microseconds) == 0:
        return None
    if process not in ("", str(os.getpid())):
        return None
    return int(microseconds) / 1_000_000
