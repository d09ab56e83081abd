"""The log of `broker serve`: what all parts tell, on stderr and in files, written by threads."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple, get_args

from broker.context import Clock
from broker.logs.bridge import Bridge, heard
from broker.logs.console import console
from broker.logs.files import LogFile
from broker.logs.lines import Line, Tell
from broker.logs.reading import LogLevel
from broker.logs.standard import Standard
from broker.logs.writer import Sink, Writer

if TYPE_CHECKING:
    from broker.config import Config

STDERR, FILES = "stderr", "files"


class Log(NamedTuple):
    """The log while it is kept."""

    access: Tell | None
    """Takes lines about requests; None if nobody wants those."""
    dropped: Callable[[], Mapping[tuple[str], int]]
    """Counts the lines that were dropped, by where they did not come to be."""


@contextmanager
def kept(config: Config, clock: Clock) -> Iterator[Log]:
    """Write down what is told while the block runs; all of it is written when that ends."""
    writers: list[tuple[str, Writer]] = []
    levels = get_args(LogLevel)
    wanted = frozenset(levels[levels.index(config.server.log_level) :])

    def tell(line: Line) -> None:
        for _, writer in writers:
            writer.add(line)

    def tell_wanted(line: Line) -> None:
        if line.level in wanted:
            tell(line)

    def end() -> None:
        for _, writer in reversed(writers):  # the files' first: stderr tells if they fail
            writer.close()

    def dropped() -> dict[tuple[str], int]:
        return {(name,): writer.dropped for name, writer in writers}

    with ExitStack() as stack:
        stack.enter_context(heard(Bridge(tell, clock.now, end), config.server.log_level.upper()))
        stack.callback(end)
        writers += ((name, Writer(sink, render)) for name, sink, render in _sinks(config, clock))
        is_wanted = config.log.requests and "error" in wanted
        yield Log(tell_wanted if is_wanted else None, dropped)


def _sinks(config: Config, clock: Clock) -> Iterator[tuple[str, Sink, Callable[[Line], bytes]]]:
    """Yield where lines go, and as what; stderr only if the process was given one."""
    with suppress(AttributeError, OSError):
        yield STDERR, Standard(sys.stderr), _render(config)
    if config.log.files:
        directory = config.broker.data_dir
        most, max_bytes = config.log.files, config.log.file_bytes
        yield FILES, LogFile(directory, most=most, max_bytes=max_bytes, now=clock.now), Line.json


def _render(config: Config) -> Callable[[Line], bytes]:
    is_terminal = sys.stderr.isatty()
    if (config.log.format or ("console" if is_terminal else "json")) == "json":
        return Line.json
    return console(colors=is_terminal and not os.environ.get("NO_COLOR"))
