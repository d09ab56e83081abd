"""What the author of an ordered store implements: five methods, all called in one thread."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping


class OrderedStore(ABC):
    """Keeps bytes under bytes, in the order of the keys, and changes many of them at once.

    Implement this over an embedded key-value store, pass it to `OrderedStorage`, and run
    `broker.testing.OrderedStoreContract` against it, then `broker.testing.StorageContract`
    against the storage.

    All methods are called in one thread that `OrderedStorage` starts for it, one after the other,
    so they may block, and need no locks. Keys are at most 256 bytes long and compared byte by
    byte, values as long as a message's body: 16 MiB.

    Raise StorageFull when there is no room, and Unavailable for what passes by itself; nothing may
    be changed then. Whatever else `commit` raises ends the storage: nobody knows what is kept.
    """

    def describe(self) -> str:
        """Say in a few words where everything is kept, for the operator.

        `OrderedStorage` adds what that survives: "/var/acme, what was answered survives a crash".
        """
        return type(self).__name__

    @abstractmethod
    def open(self) -> None:
        """Acquire files and locks; if this raises, nothing is left open.

        Raise StorageLocked if another process has the store, StorageUnreadable if it is damaged:
        a damaged store must never look like an empty one. What a `commit` that never returned left
        half written at the end of a file is no damage, and may be cut off.

        The start fails after 300 s. Where opening takes the longer the more is kept, have a
        subclass of `OrderedStorage` with `open_has_deadline = False`.
        """

    @abstractmethod
    def close(self) -> None:
        """Give back what `open` took; called once after each `open` that returned."""

    @abstractmethod
    def get(self, key: bytes) -> bytes | None:
        """Return the value that was committed last under a key, None if there is none."""

    @abstractmethod
    def scan(self, start: bytes, stop: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield keys with their values in order, from `start` on and before `stop`.

        Whoever asks may stop asking: read on only when asked. No scan goes on during a commit.
        """

    @abstractmethod
    def commit(self, changes: Mapping[bytes, bytes | None]) -> None:
        """Make all changes or none of them, and return when they are durable; None deletes.

        Keys come in no order. Some that shall be deleted are not there.
        """

    def demand_room(self, size: int) -> None:
        """Raise StorageFull unless there is room for new messages of `size` bytes in all.

        Called before each publish, and with 0 to find out whether there is any. Keep a reserve:
        when messages are refused, those that are there should still be leased, settled and
        removed. By default there is always room, and StorageFull comes from `commit`, for whatever
        is done.
        """
