"""Messages in a dict: gone with the broker, and still a whole storage."""

from collections.abc import Iterator, Mapping

from broker import OrderedStorage, OrderedStore, PluginContext, Storage, hookimpl


class AcmeStore(OrderedStore):
    """Bytes under bytes; the base makes queues of it."""

    def open(self) -> None:
        """Begin with nothing."""
        self._pairs: dict[bytes, bytes] = {}

    def close(self) -> None:
        """Forget everything."""
        self._pairs.clear()

    def get(self, key: bytes) -> bytes | None:
        """Return what is under a key."""
        return self._pairs.get(key)

    def scan(self, start: bytes, stop: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield a range in order; a real store need not sort for it."""
        yield from sorted(pair for pair in self._pairs.items() if start <= pair[0] < stop)

    def commit(self, changes: Mapping[bytes, bytes | None]) -> None:
        """Make all changes at once."""
        for key, value in changes.items():
            if value is None:
                self._pairs.pop(key, None)
            else:
                self._pairs[key] = value


class AcmeStorage(OrderedStorage):
    """Queues over such a store; it says that they do not survive a crash."""

    capabilities = OrderedStorage.capabilities - {"durable"}


@hookimpl
def provide_storage(plugin: PluginContext) -> Storage:
    """Return the one storage."""
    return AcmeStorage(AcmeStore())
