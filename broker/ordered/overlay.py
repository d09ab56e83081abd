"""Changes that are not made yet, seen as if they were."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

Changes = Mapping[bytes, bytes | None]


class Readable(Protocol):
    """What can be asked for keys: a store, or an overlay on one."""

    def get(self, key: bytes) -> bytes | None:
        """Return the value of a key, None if there is none."""

    def scan(self, start: bytes, stop: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield keys with their values in order, from `start` on and before `stop`."""


class Overlay:
    """Reads through to what lies beneath, and keeps changes to itself.

    A transaction is an overlay on that of its batch, which is one on the store: to undo it is to
    forget it.
    """

    def __init__(self, base: Readable) -> None:
        self._base = base
        self.changes: dict[bytes, bytes | None] = {}
        self.size = 0
        self._keys: list[bytes] = []  # of the changes, in order
        self._fresh: list[bytes] = []  # those that are not in order yet

    def put(self, key: bytes, value: bytes = b"") -> None:
        """Set the value of a key."""
        self._change(key, value)

    def delete(self, key: bytes) -> None:
        """Remove a key, if it is there."""
        self._change(key, None)

    def update(self, changes: Changes) -> None:
        """Take in the changes of an overlay on this one."""
        for key, value in changes.items():
            self._change(key, value)

    def _change(self, key: bytes, value: bytes | None) -> None:
        if key not in self.changes:
            self._fresh.append(key)
        self.size += len(key) + len(value or b"")
        self.changes[key] = value

    def get(self, key: bytes) -> bytes | None:
        """Return the value of a key, None if there is none."""
        if key in self.changes:
            return self.changes[key]
        return self._base.get(key)

    def scan(self, start: bytes, stop: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield keys with their values in order; keys added meanwhile are not among them."""
        keys = self._in_order()
        changed = keys[bisect_left(keys, start) : bisect_left(keys, stop)]
        below = self._base.scan(start, stop)
        return self._merge(below, changed) if changed else below

    def _in_order(self) -> list[bytes]:
        # To sort again costs as much as to look at all keys; a few are put in their places.
        if len(self._fresh) * 8 > len(self._keys):
            self._keys += self._fresh
            self._keys.sort()
        else:
            for key in self._fresh:
                insort(self._keys, key)
        self._fresh.clear()
        return self._keys

    def _merge(
        self, below: Iterator[tuple[bytes, bytes]], changed: Sequence[bytes]
    ) -> Iterator[tuple[bytes, bytes]]:
        position = 0
        for key, value in below:
            while position < len(changed) and changed[position] < key:
                yield from self._own(changed[position])
                position += 1
            if position < len(changed) and changed[position] == key:
                yield from self._own(key)
                position += 1
            else:
                yield key, value
        for key in changed[position:]:
            yield from self._own(key)

    def _own(self, key: bytes) -> Iterator[tuple[bytes, bytes]]:
        value = self.changes[key]
        if value is not None:
            yield key, value
