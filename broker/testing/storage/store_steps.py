"""Counting what a storage does to the ordered store beneath it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager

from broker.ordered import OrderedStorage, OrderedStore
from broker.testing.steps import Steps


@asynccontextmanager
async def store_steps(storage: OrderedStorage) -> AsyncIterator[Steps]:
    """Count the keys that a storage reads from its ordered store, and changes there."""
    steps = Steps()
    writer = storage._writer  # noqa: SLF001  # the storage has no use for such a door itself
    store = writer.store
    await writer.run(lambda _: writer.use(_Counted(store, steps)), 0)
    try:
        yield steps
    finally:
        await writer.run(lambda _: writer.use(store), 0)


class _Counted(OrderedStore):
    """A store that counts the keys it is asked for."""

    def __init__(self, store: OrderedStore, steps: Steps) -> None:
        self._store = store
        self._steps = steps

    def open(self) -> None:
        self._store.open()

    def close(self) -> None:
        self._store.close()

    def get(self, key: bytes) -> bytes | None:
        self._steps.taken += 1
        return self._store.get(key)

    def scan(self, start: bytes, stop: bytes) -> Iterator[tuple[bytes, bytes]]:
        self._steps.taken += 1
        for pair in self._store.scan(start, stop):
            self._steps.taken += 1
            yield pair

    def commit(self, changes: Mapping[bytes, bytes | None]) -> None:
        self._steps.taken += len(changes)
        self._store.commit(changes)
