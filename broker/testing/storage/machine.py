"""The state machine: programs of the nine operations, on a storage and the memory storage."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    consumes,
    initialize,
    multiple,
    precondition,
    rule,
)
from msgspec.structs import replace

from broker.models import (
    BulkResult,
    Lease,
    Message,
    MessageQuery,
    NewMessage,
    QueuePolicy,
    QueueSpec,
    QueueStatus,
    Settle,
)
from broker.testing.storage.bench import KINDS, SettleKind, Workbench
from broker.testing.storage.drawing import (
    NEEDED,
    Fields,
    among,
    limits,
    listings,
    messages,
    names,
    operations,
    policies,
    queries,
)
from broker.testing.storage.twins import Operation, Pair, Twins, maintain, pages

T = TypeVar("T")


class Machine(RuleBasedStateMachine):
    """A program, drawn step by step; after each step both storages must show the same."""

    leases: Bundle[Pair[Lease]] = Bundle("leases")

    def __init__(self, bench: Workbench, folder: Path, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._capabilities = bench.storage.capabilities
        self._twins = Twins(bench)
        self._folder = folder
        self._loop = loop
        self._moments: list[int] = []
        self._drops_left = 2  # each leaves little to work with
        self._openings_left = 2  # each takes as long as twenty other steps
        self._run(self._twins.open())

    def teardown(self) -> None:
        """Close both storages, and remove what they kept."""
        self._run(self._twins.close())
        shutil.rmtree(self._folder)

    @initialize(target=leases, a=policies, b=policies)
    def begin(self, a: Fields, b: Fields) -> MultipleResults[Pair[Lease]]:
        """Make something to work with: b takes a's dead letters, and each holds two messages."""
        for name, policy in (("a", {"dead_letter_queue": "b", **a}), ("b", b)):
            self._put_queue(name, policy)
            self._publish([{"queue": name}])
            self._publish([{"queue": name, "group": "g", "dedup_key": "k"}])
        return self._lease("a", limit=1, seconds=30)

    @rule(name=names, policy=policies, expect=among(None, 0, 1, 2))
    def put_queue(self, name: str, policy: Fields, expect: int | None) -> None:
        self._put_queue(name, policy, expect)
        self._look()

    # No precondition here, nor below: Hypothesis would leave such steps in the smallest program.
    @rule(name=names)
    def drop_queue(self, name: str) -> None:
        if self._drops_left == 0:
            return
        self._drops_left -= 1
        self._compare(lambda bench, _: bench.storage.drop_queue(name))
        self._look()

    @rule(batch=st.lists(messages, max_size=4))
    def publish(self, batch: Sequence[Fields]) -> None:
        self._publish(batch)
        self._look()

    @rule(queue=names, copies=st.integers(1, 3))
    def publish_plain(self, queue: str, copies: int) -> None:
        self.publish([{"queue": queue}] * copies)

    @rule(target=leases, queue=names, limit=limits, seconds=among(30, 10, 3, 1))
    def lease(self, queue: str, limit: int, seconds: int) -> MultipleResults[Pair[Lease]]:
        return self._lease(queue, limit=limit, seconds=seconds)

    @rule(target=leases, queue=names)
    def lease_all(self, queue: str) -> MultipleResults[Pair[Lease]]:
        return self._lease(queue, limit=100, seconds=30)

    @rule(target=leases, queue=names, limit=limits, kind=among(*KINDS))
    def consume(self, queue: str, limit: int, kind: SettleKind) -> MultipleResults[Pair[Lease]]:
        """Lease and settle, as most consumers do."""
        taken = self._lease(queue, limit=limit, seconds=30)
        self._settle([{"lease": lease, "kind": kind} for lease in taken.values])
        self._look()
        return taken

    @precondition(lambda self: self.bundle("leases"))
    @rule(lease=consumes(leases), kind=among(*KINDS))
    def settle_plain(self, lease: Pair[Lease], kind: SettleKind) -> None:
        self.settle([{"lease": lease, "kind": kind}])

    @precondition(lambda self: self.bundle("leases"))
    @rule(ops=st.lists(operations(leases), min_size=1, max_size=3))
    def settle(self, ops: Sequence[Fields]) -> None:
        self._settle(ops)
        self._look()

    @precondition(lambda self: self.bundle("leases"))
    @rule(
        ops=st.lists(operations(leases), max_size=2),
        publish=st.lists(messages, min_size=1, max_size=2),
    )
    def settle_and_publish(self, ops: Sequence[Fields], publish: Sequence[Fields]) -> None:
        self._settle(ops, publish)
        self._look()

    @rule(listing=listings, query=queries, limit=limits)
    def read(self, listing: Fields, query: Fields, limit: int) -> None:
        self._compare(lambda bench, _: bench.storage.get_queues(**listing, now=bench.now))
        self._compare(lambda bench, side: pages(bench, self._query(side, **query, limit=limit)))

    @rule(query=queries, action=among("delete", "redrive"), limit=limits)
    def bulk(self, query: Fields, action: Literal["delete", "redrive"], limit: int) -> None:
        self._compare(lambda bench, side: _bulk(bench, self._query(side, **query), action, limit))
        self._look()

    @rule(limit=limits)
    def maintain(self, limit: int) -> None:
        self._compare(lambda bench, _: maintain(bench, limit=limit))
        self._look(exact=True)

    @rule(moments=st.integers(1, 4), milliseconds=among(0, -1, 1))
    def advance(self, moments: int, milliseconds: int) -> None:
        """Let time pass beyond some moments when something is due, or just not beyond the last."""
        now = self._twins.store.now
        due = [moment for moment in self._moments if moment > now + 1][:moments] or [now + 1000]
        self._twins.store.advance((due[-1] + milliseconds - now) / 1000)
        self._look()

    @rule(how=among("restart", "crash"))
    def begin_again(self, how: Literal["restart", "crash"]) -> None:
        if "durable" not in self._capabilities or self._openings_left == 0:
            return
        self._openings_left -= 1
        store = self._twins.store
        self._run(store.reopen() if how == "restart" else store.crash())
        self._look()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._loop.run_until_complete(work)

    def _compare(self, operation: Operation[T]) -> Pair[T] | None:
        return self._run(self._twins.agree(operation))

    def _look(self, *, exact: bool = False) -> None:
        """Compare all that both show, which each step ends with."""
        seen = self._run(self._twins.look(exact=exact))
        self._moments = sorted({moment for queue in seen for moment in _moments(*queue)})

    def _put_queue(self, name: str, policy: Fields, expect: int | None = None) -> None:
        spec = QueueSpec(name, QueuePolicy(**policy))
        self._compare(lambda bench, _: bench.storage.put_queue(spec, expect=expect, now=bench.now))

    def _publish(self, batch: Sequence[Fields]) -> None:
        self._compare(lambda bench, _: bench.publish(*self._batch(bench, batch)))

    def _lease(self, queue: str, *, limit: int, seconds: int) -> MultipleResults[Pair[Lease]]:
        answers = self._compare(lambda bench, _: bench.lease(queue, limit=limit, seconds=seconds))
        self._look()
        if answers is None:
            return multiple()
        model, store = answers
        return multiple(*zip(model.leases, store.leases, strict=True))

    def _settle(self, ops: Sequence[Fields], publish: Sequence[Fields] = ()) -> None:
        self._compare(
            lambda bench, side: bench.settle_and_publish(
                *(_op(bench, side, **op) for op in ops), publish=self._batch(bench, publish)
            )
        )

    def _batch(self, bench: Workbench, batch: Sequence[Fields]) -> list[NewMessage]:
        return [bench.message(**self._declared(fields)) for fields in batch]

    def _query(self, side: int, **fields: Any) -> MessageQuery:
        known = [0, *(pair[side] for pair in self._twins.message_ids.pairs())]
        if "ids" in fields:
            fields["ids"] = tuple(known[-age:][0] for age in fields["ids"])
        if "after" in fields:
            fields["after"] = known[-fields["after"] :][0]
        if "finished_before" in fields:
            fields["finished_before"] = self._twins.store.now - 1000 * fields["finished_before"]
        return MessageQuery(**self._declared(fields))

    def _declared(self, fields: Fields) -> Fields:
        """Leave out what the storage does not claim to be able to."""
        return {
            name: value
            for name, value in fields.items()
            if name not in NEEDED or NEEDED[name] in self._capabilities
        }


async def _bulk(
    bench: Workbench, query: MessageQuery, action: Literal["delete", "redrive"], limit: int
) -> list[BulkResult]:
    done = await bench.storage.bulk(query, action, now=bench.now, limit=limit)
    return sorted(done, key=lambda one: one.id)


def _op(
    bench: Workbench,
    side: int,
    *,
    lease: Pair[Lease],
    kind: SettleKind,
    seconds: float | None = None,
    reason: str | None = None,
    **lies: Any,
) -> Settle:
    return replace(bench.op(lease[side], kind, seconds=seconds, reason=reason), **lies)


def _moments(status: QueueStatus, held: Sequence[Message]) -> Iterator[int]:
    """Yield when something is due in a queue."""
    policy = status.queue.policy
    retained = {"processed": policy.retain_processed, "failed": policy.retain_failed}
    for message in held:
        yield message.visible_at
        yield message.enqueued_at + policy.dedup_window * 1000
        if message.expires_at is not None:
            yield message.expires_at
        seconds = retained.get(message.state)
        if message.finished_at is not None and seconds is not None:
            yield message.finished_at + seconds * 1000
