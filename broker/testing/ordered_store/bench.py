"""The workbench of the contract of ordered stores."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType

from broker.ordered import OrderedStore

LONGEST_KEY = 256
FIRST, LAST = b"\x00", b"\xff" * LONGEST_KEY
"""Between these lie all keys."""


class StoreBench:
    """A store, opened, and short words for what is done to it."""

    def __init__(
        self,
        make: Callable[[Path], OrderedStore | None],
        crash: Callable[[Path], Path],
        folder: Path,
    ) -> None:
        self._make = make
        self._crash = crash
        self._open: list[OrderedStore] = []
        self.folder = folder
        self.store = self.second()

    async def __aenter__(self) -> StoreBench:
        self.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        for store in self._open:
            store.close()

    def open(self) -> None:
        """Open the store."""
        self.store.open()
        self._open.append(self.store)

    def reopen(self) -> None:
        """Close the store, and open another one on the same data."""
        self.store.close()
        self._open.remove(self.store)
        self.store = self.second()
        self.open()

    def crash(self) -> None:
        """Open another store on what a crash leaves; the first is not closed before the end."""
        self.folder = self._crash(self.folder)
        self.store = self.second()
        self.open()

    def second(self) -> OrderedStore:
        """Return another store on the same data, not opened."""
        store = self._make(self.folder)
        assert store is not None, "the contract makes one"
        return store

    def commit(self, changes: Mapping[bytes, bytes | None]) -> None:
        """Commit changes."""
        self.store.commit(changes)

    def keys(self, start: bytes = FIRST, stop: bytes = LAST) -> list[bytes]:
        """Return the keys of a range."""
        return [key for key, _ in self.store.scan(start, stop)]

    def everything(self) -> dict[bytes, bytes]:
        """Return all that is kept."""
        return dict(self.store.scan(FIRST, LAST))
