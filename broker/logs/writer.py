"""The threads that write the log, so that nothing else waits for a slow disk or a full pipe."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Protocol

from broker.logs.lines import Line

MOST_LINES = 10_000
"""How many may wait to be written; one more is dropped, and counted."""

MOST_BYTES = 16 * 1024 * 1024
"""How much room they may take, about."""

PIECE_LINES = 500
"""How many are made to bytes before they are written."""

GATHER_SECONDS = 0.05
"""How long lines gather, so that many are written at once."""

CLOSE_SECONDS = 1.0
"""How long the end may take, if what is written to takes nothing."""

logger = logging.getLogger("broker.logs")


class Sink(Protocol):
    """Where lines go."""

    name: str

    def write(self, lines: Sequence[bytes]) -> Iterator[int]:
        """Write these, each of which ends with a line feed, and yield again and again how many
        more are written; or raise OSError."""

    def close(self) -> None:
        """Write no more."""


class Writer:
    """Writes lines to one sink, from a thread of its own, in the order in which they came."""

    def __init__(self, sink: Sink, render: Callable[[Line], bytes]) -> None:
        self._sink = sink
        self._render = render
        self._lines: SimpleQueue[Line | None] = SimpleQueue()
        self._is_over = threading.Event()
        self._is_failing = False
        self.dropped = 0
        """How many lines were not written."""
        self._untold = 0
        self._bytes = 0
        # The collector may run what tells something at any time, in any thread: nothing that `add`
        # needs may be in the hands of the same thread then.
        self._lock = threading.RLock()
        # A daemon, for what takes nothing more must not keep the process.
        self._thread = threading.Thread(target=self._run, name="broker-log", daemon=True)
        self._thread.start()

    def add(self, line: Line) -> None:
        """Have a line written soon. Never waits; any thread may call it."""
        weight = line.weight()
        with self._lock:
            if self._lines.qsize() < MOST_LINES and self._bytes + weight <= MOST_BYTES:
                self._bytes += weight
                self._lines.put(line)
                return
            untold = self._drop(1)
        if untold == 1:
            logger.warning("%s is too slow; lines are dropped", self._sink.name)

    def close(self) -> None:
        """Write what waits, if that takes no longer than `CLOSE_SECONDS`."""
        self._is_over.set()
        self._lines.put(None)  # wakes who waits for lines
        self._thread.join(CLOSE_SECONDS)
        if not self._thread.is_alive():
            self._sink.close()

    def _text(self, line: Line) -> bytes:
        try:
            return self._render(line)
        # An isolation point: one line that nobody can write must not end the log.
        except Exception:
            if self._drop(1) == 1:  # or what tells of it, which nobody can write, would go on so
                logger.exception("a line of the log cannot be written")
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
            first = self._lines.get()
            self._is_over.wait(GATHER_SECONDS)
            self._write_all([] if first is None else [first])
        self._write_all([])

    def _write_all(self, lines: list[Line]) -> None:
        while lines := lines + self._take(PIECE_LINES):
            if texts := [text for line in lines if (text := self._text(line))]:
                self._write(texts)
            with self._lock:
                self._bytes -= sum(line.weight() for line in lines)
            lines = []

    def _take(self, most: int) -> list[Line]:
        """Return those that are next, none if none waits."""
        lines: list[Line] = []
        with suppress(Empty):
            while len(lines) < most:
                if (line := self._lines.get_nowait()) is not None:
                    lines.append(line)
        return lines

    def _write(self, lines: list[bytes]) -> None:
        left = len(lines)
        try:
            for taken in self._sink.write(lines):
                left -= taken
        except OSError as error:
            self._drop(left)
            if not self._is_failing:
                self._is_failing = True
                # Who writes elsewhere tells of it.
                logger.error("%s takes no lines: %s; they are dropped", self._sink.name, error)  # noqa: TRY400  # a full disk needs no traceback
            return
        self._is_failing = False
        if untold := self._recover():
            logger.warning("%s takes lines again; %d were dropped", self._sink.name, untold)
