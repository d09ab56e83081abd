"""The threads that write the log, so that nothing else waits for a slow disk or a full pipe."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from broker.logs.lines import Line

MOST_LINES = 10_000
"""How many may wait to be written; one more is dropped, and counted."""

GATHER_SECONDS = 0.05
"""How long lines gather, so that many are written at once."""

CLOSE_SECONDS = 1.0
"""How long the end may take, if what is written to takes nothing."""

logger = logging.getLogger("broker.logs")


class Sink(Protocol):
    """Where lines go."""

    name: str

    def write(self, lines: Sequence[bytes]) -> None:
        """Write all of these, each of which ends with a line feed, or raise OSError."""

    def close(self) -> None:
        """Write no more."""


class Writer:
    """Writes lines to one sink, from a thread of its own, in the order in which they came."""

    def __init__(self, sink: Sink, render: Callable[[Line], bytes]) -> None:
        self._sink = sink
        self._render = render
        self._lines: deque[Line] = deque()
        self._is_awaited = threading.Event()
        self._is_over = threading.Event()
        self._is_failing = False
        self.dropped = 0
        """How many lines were not written."""
        self._untold = 0
        self._lock = threading.Lock()
        # A daemon, for what takes nothing more must not keep the process.
        self._thread = threading.Thread(target=self._run, name="broker-log", daemon=True)
        self._thread.start()

    def add(self, line: Line) -> None:
        """Have a line written soon. Never waits; any thread may call it."""
        if len(self._lines) >= MOST_LINES:
            if self._drop(1) == 1:
                logger.warning("%s is too slow; lines are dropped", self._sink.name)
            return
        self._lines.append(line)
        if not self._is_awaited.is_set():
            self._is_awaited.set()

    def close(self) -> None:
        """Write what waits, if that takes no longer than `CLOSE_SECONDS`."""
        self._is_over.set()
        self._is_awaited.set()
        self._thread.join(CLOSE_SECONDS)
        if not self._thread.is_alive():
            self._sink.close()

    def _text(self, line: Line) -> bytes:
        try:
            return self._render(line)
        # An isolation point: one line that nobody can write must not end the log.
        except Exception:
            logger.exception("a line of the log cannot be written")
            self._drop(1)
            return b""

    def _drop(self, count: int) -> int:
        """Count what is dropped, and return how many were since that was told."""
        with self._lock:
            self.dropped += count
            self._untold += count
            return self._untold

    def _recover(self) -> int:
        """Return how many were dropped since that was told, and count anew."""
        with self._lock:
            untold, self._untold = self._untold, 0
        return untold

    def _run(self) -> None:
        while not self._is_over.is_set():
            self._is_awaited.wait()
            self._is_over.wait(GATHER_SECONDS)
            self._is_awaited.clear()
            self._write_all()
        self._write_all()

    def _write_all(self) -> None:
        lines = [self._lines.popleft() for _ in range(len(self._lines))]
        if not lines:
            return
        try:
            self._sink.write([text for line in lines if (text := self._text(line))])
        except OSError as error:
            self._drop(len(lines))
            if not self._is_failing:
                self._is_failing = True
                # Who writes elsewhere tells of it.
                logger.error("%s takes no lines: %s; they are dropped", self._sink.name, error)  # noqa: TRY400  # a full disk needs no traceback
            return
        self._is_failing = False
        if untold := self._recover():
            logger.warning("%s takes lines again; %d were dropped", self._sink.name, untold)
