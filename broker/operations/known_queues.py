"""What is known of queues, so that operations need not ask the storage each time."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from broker.context import Clock
from broker.errors import QueueNotFound
from broker.models import Queue, QueuePolicy, QueueStatus
from broker.storage import Storage

SHARED_POLICY_MS = 1000
"""How long a policy is believed when other processes may change it."""


class KnownQueues:
    """Looks queues up, and believes what it found."""

    def __init__(self, storage: Storage, clock: Clock) -> None:
        self._storage = storage
        self._clock = clock
        self._known: dict[str, tuple[Queue, int]] = {}
        self._shared = "shared" in storage.capabilities

    async def policy(self, name: str) -> QueuePolicy:
        """Return a queue's policy, from memory when it is known; raises QueueNotFound."""
        if self._is_believed(name):
            return self._known[name][0].policy
        return self.remember((await self.status(name)).queue).policy

    async def existing(self, names: AbstractSet[str]) -> AbstractSet[str]:
        """Return those of these names that queues have, from memory when they are known; the
        storage is called once at most."""
        unknown = {name for name in names if not self._is_believed(name)}
        found = await self.statuses(unknown)
        for status in found.values():
            self.remember(status.queue)
        return (names - unknown) | found.keys()

    async def status(self, name: str) -> QueueStatus:
        """Return a queue with its counts as it is now; raises QueueNotFound."""
        found = await self._storage.get_queues(names=[name], now=self._clock.now())
        if not found:
            self.forget(name)
            raise QueueNotFound(name)
        return found[0]

    async def statuses(self, names: AbstractSet[str]) -> dict[str, QueueStatus]:
        """Return those queues that there are now, by name; the storage is called once at most."""
        if not names:
            return {}
        found = await self._storage.get_queues(
            names=sorted(names), limit=len(names), now=self._clock.now()
        )
        by_name = {status.queue.name: status for status in found}
        for name in names - by_name.keys():
            self.forget(name)
        return by_name

    def remember(self, queue: Queue) -> Queue:
        """Believe what was read of a queue, or written; return what is believed then."""
        known = self._known.get(queue.name)
        # What was read may have been changed since, by a put that is remembered already.
        if known is not None and known[0].id == queue.id and known[0].version > queue.version:
            return known[0]
        self._known[queue.name] = (queue, self._clock.now() + SHARED_POLICY_MS)
        return queue

    def forget(self, name: str) -> None:
        """Stop believing what is known of a queue: the storage says that it is gone."""
        self._known.pop(name, None)

    def _is_believed(self, name: str) -> bool:
        known = self._known.get(name)
        return known is not None and (not self._shared or known[1] > self._clock.now())
