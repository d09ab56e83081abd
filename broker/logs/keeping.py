"""The log of `broker serve`: what all parts tell, on stderr and in files, written by threads."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

import structlog

from broker.context import Clock
from broker.logs.bridge import Bridge
from broker.logs.console import console
from broker.logs.files import LogFile
from broker.logs.lines import Line, Tell
from broker.logs.standard import Standard
from broker.logs.writer import Sink, Writer

if TYPE_CHECKING:
    from broker.config import Config

logger = logging.getLogger("broker.logs")


@contextmanager
def kept(config: Config, clock: Clock) -> Iterator[Tell | None]:
    """Write down what is told while the block runs; all of it is written when that ends.

    Yields what takes lines about requests, None if nobody wants those. Libraries are heard when
    something is wrong, the broker and its plugins as `server.log_level` says.
    """
    writers: list[Writer] = []

    def tell(line: Line) -> None:
        for writer in writers:
            writer.add(line)

    def end() -> None:
        for writer in reversed(writers):  # the files' first, for stderr tells if they fail
            writer.close()

    level = config.server.log_level.upper()
    with ExitStack() as stack:
        stack.enter_context(_heard(Bridge(tell, clock.now, end), level))
        stack.callback(end)
        writers += (Writer(sink, render) for sink, render in _sinks(config, clock))
        is_wanted = config.log.requests and logger.isEnabledFor(logging.INFO)
        yield tell if is_wanted else None


def _sinks(config: Config, clock: Clock) -> Iterator[tuple[Sink, Callable[[Line], bytes]]]:
    """Yield where lines go, and as what; stderr only if the process was given one."""
    with suppress(AttributeError, OSError):
        yield Standard(sys.stderr), _render(config)
    if config.log.files:
        directory = config.broker.data_dir
        most, max_bytes = config.log.files, config.log.file_bytes
        yield LogFile(directory, most=most, max_bytes=max_bytes, now=clock.now), Line.json


def _render(config: Config) -> Callable[[Line], bytes]:
    is_terminal = sys.stderr.isatty()
    if (config.log.format or ("console" if is_terminal else "json")) == "json":
        return Line.json
    return console(colors=is_terminal and not os.environ.get("NO_COLOR"))


@contextmanager
def _heard(bridge: Bridge, level: str) -> Iterator[None]:
    """Have the bridge hear what is told by `logging`, by structlog and by `warnings`."""
    root, ours = logging.getLogger(), logging.getLogger("broker")
    before = ours.level
    root.addHandler(bridge)
    ours.setLevel(level)
    logging.captureWarnings(capture=True)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    try:
        yield
    finally:
        structlog.reset_defaults()
        logging.captureWarnings(capture=False)
        ours.setLevel(before)
        root.removeHandler(bridge)
