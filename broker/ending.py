"""The end of a process although something in it does not end: a plugin's task that goes on when it
is cancelled, a thread that is stuck. Python would wait for both without end.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from types import TracebackType
from typing import Any

END_SECONDS = 30.0
"""How long it may take in all to close everything, and Python to end."""

FORCED = 1
"""The exit code then."""

INNERMOST = 3
"""How many of the coroutines that await each other are told of a task."""

logger = logging.getLogger("broker.server")


class Ending:
    """Ends the process, some time after `begin` was called, unless the block has ended by then."""

    def __init__(self) -> None:
        self._timer: threading.Timer | None = None

    def __enter__(self) -> Ending:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def begin(self) -> None:
        """Have the process end in time from now on; call it on the event loop."""
        loop = asyncio.get_running_loop()
        self._timer = threading.Timer(END_SECONDS, force, [END_SECONDS, loop])
        self._timer.daemon = True
        self._timer.start()


def force(seconds: float, loop: asyncio.AbstractEventLoop) -> None:
    """Tell the log what still runs, and end the process: what was acknowledged is stored."""
    tasks = {_place(task) for task in asyncio.all_tasks(loop)}
    threads = {one.name for one in threading.enumerate() if one is not threading.current_thread()}
    logger.critical(
        "the broker did not end within %g s and is ended now; still at work: tasks %s; threads %s",
        seconds,
        ", ".join(sorted(tasks)) or "none",
        ", ".join(sorted(threads)),
    )
    logging.shutdown()
    os._exit(FORCED)


def _place(task: asyncio.Task[Any]) -> str:
    """Return where a task waits: the innermost of the coroutines that await each other."""
    chain: list[str] = []
    coroutine: object = task.get_coro()
    while (name := getattr(coroutine, "__qualname__", None)) is not None:
        chain.append(name)
        coroutine = getattr(coroutine, "cr_await", None)
    return " > ".join(chain[-INNERMOST:])
