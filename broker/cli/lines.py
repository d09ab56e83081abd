"""Lines of a stream and batches of lines, in memory that does not grow with the stream."""

from __future__ import annotations

import select
from collections.abc import Iterable, Iterator
from typing import Protocol

import msgspec

from broker.errors import MessageTooLarge
from broker.limits import MAX_BATCH_MESSAGES, MAX_MESSAGE_BYTES

BATCH_BYTES = 4 * 1024 * 1024
CHUNK_BYTES = 64 * 1024


class Source(Protocol):
    """What is read: an open binary file, stdin's buffer."""

    def read1(self, size: int, /) -> bytes:
        """Read what is there, at least one byte, or nothing at the end."""

    def fileno(self) -> int:
        """Return the descriptor that can be asked whether there is more."""


class Batch(msgspec.Struct, frozen=True):
    """Lines that are published together; `first` is the number of the first one, from 1."""

    first: int
    lines: list[bytes]

    @property
    def size(self) -> int:
        """Count the bytes of the lines."""
        return sum(map(len, self.lines))

    def longest(self) -> tuple[int, int]:
        """Return the number of the longest line, and its bytes."""
        sizes = [len(line) for line in self.lines]
        return self.first + sizes.index(max(sizes)), max(sizes)


def read_lines(source: Source) -> Iterator[bytes | None]:
    r"""Yield each line without its `\n`, and None whenever the source has no more for now.

    The last line may lack its newline. Raises MessageTooLarge for a line that no queue takes.
    """
    begun: list[bytes] = []
    while chunk := source.read1(CHUNK_BYTES):
        *ended, rest = chunk.split(b"\n")
        for line in ended:
            yield b"".join((*begun, line))
            begun.clear()
        if rest:
            begun.append(rest)
        if sum(map(len, begun)) > MAX_MESSAGE_BYTES:
            raise MessageTooLarge(f"a line is longer than {MAX_MESSAGE_BYTES} bytes")
        if not _has_more(source):
            yield None
    if begun:
        yield b"".join(begun)


def batches(lines: Iterable[bytes | None], *, overhead: int = 0) -> Iterator[Batch]:
    """Group lines, and end a group early when the source pauses, so that no line is held back.

    `overhead` is what each line costs beside its own bytes.
    """
    first, group, size = 1, list[bytes](), 0
    for line in lines:
        cost = 0 if line is None else len(line) + overhead
        if group and (
            line is None or len(group) == MAX_BATCH_MESSAGES or size + cost > BATCH_BYTES
        ):
            yield Batch(first, group)
            first, group, size = first + len(group), [], 0
        if line is not None:
            group.append(line)
            size += cost
    if group:
        yield Batch(first, group)


def _has_more(source: Source) -> bool:
    try:
        ready, _, _ = select.select([source.fileno()], [], [], 0)
    except (OSError, ValueError):  # not a descriptor: it never pauses
        return True
    return bool(ready)
