"""The referee of a race: what its tasks were told, and what can therefore not be true.

It is asked before each call and told after it; the order of that is the logical clock. A lease is
surely held from its answer until its holder asks to end it, or until its time is over: so much is
known of any storage, however long its answers take.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from broker.context import Clock
from broker.models import (
    Ended,
    Lease,
    Message,
    Settle,
    SettleKind,
    SettleOutcome,
    SettleResult,
    Totals,
)

Outcomes = frozenset[SettleOutcome]

_TOTALS: dict[SettleKind, str] = {"ack": "acked", "retry": "retried", "release": "released"}


class Held(msgspec.Struct, eq=False):
    """A lease, as its holder knows it."""

    lease: Lease
    until: int
    is_ending: bool = False
    """Whether its holder asked to end it."""
    end: SettleKind | None = None
    """What ended it, once that was answered."""
    in_doubt: bool = False
    """Whether a caller went away, or an answer came so late, that any outcome may be right."""

    @property
    def id(self) -> int:
        """The id of the message."""
        return self.lease.message.id


class Asked(msgspec.Struct, frozen=True):
    """What was known when a task asked."""

    now: int
    furthest: int = 0
    """The last message whose first delivery was answered by then."""
    superseded: frozenset[bytes | None] = frozenset()
    """The tokens of leases that were known not to be the newest of their messages."""


class Referee:
    """Ends a race, by an AssertionError, when a task is told what cannot be true."""

    def __init__(self, clock: Clock) -> None:
        self.published: set[int] = set()
        self.acked: set[int] = set()
        self.failed: set[int] = set()
        self.deliveries: Counter[int] = Counter()
        """How often each message was leased and not released."""
        self.done: Counter[str] = Counter()
        """What was answered, by the names of the totals."""
        self.late_acks = 0
        """Acks that were asked for when the lease was over: a lapse came before them."""
        self.perhaps_late_acks = 0
        """Acks while which the lease ended: a lapse came before them, or not."""
        self.is_blind = False
        """Whether a caller went away, so that not all that was done is known."""
        self._clock = clock
        self._newest: dict[int, Held] = {}
        self._tokens: set[bytes] = set()
        self._furthest = 0

    def ask_to_lease(self) -> Asked:
        """Take note that a task asks for leases."""
        return Asked(self._clock.now(), furthest=self._furthest)

    def lease(self, asked: Asked, leases: Sequence[Lease]) -> list[Held]:
        """Take note of the leases that a task was given."""
        ids = [lease.message.id for lease in leases]
        assert ids == sorted(ids), f"messages {ids} were leased out of order"
        for lease in leases:
            if lease.message.delivery_count == 1 and lease.message.id not in self._newest:
                assert lease.message.id > asked.furthest, (
                    f"message {lease.message.id} came first after message {asked.furthest} did"
                )
                self._furthest = max(self._furthest, lease.message.id)
        return [self._lease(lease) for lease in leases]

    def _lease(self, lease: Lease) -> Held:
        held = Held(lease, until=lease.message.visible_at)
        before = self._newest.get(held.id)
        assert lease.token not in self._tokens, f"message {held.id} got a token that was used"
        self._tokens.add(lease.token)
        if self._has_lapsed(held):
            # Too late an answer to tell whether it is older or newer than the one before.
            held.in_doubt = True
        else:
            assert held.id not in self.acked, f"message {held.id} came back after its ack"
            assert held.id not in self.failed, f"message {held.id} came back after it failed"
            assert before is None or before.is_ending or self._has_lapsed(before), (
                f"two leases of message {held.id} overlap"
            )
        self.deliveries[held.id] += 1
        self.done["delivered"] += 1
        if before is not None and held.in_doubt:
            before.in_doubt = True
        else:
            self._newest[held.id] = held
        return held

    def ask_to_settle(self, work: Sequence[tuple[Held, Settle]]) -> Asked:
        """Take note that a task asks to settle leases, perhaps old ones."""
        superseded = [held for held, _ in work if self._newest[held.id] is not held]
        for held, op in work:
            held.is_ending = held.is_ending or op.kind != "extend"
        tokens = frozenset(held.lease.token for held in superseded)
        return Asked(self._clock.now(), superseded=tokens)

    def settle(
        self, asked: Asked, work: Sequence[tuple[Held, Settle]], results: Sequence[SettleResult]
    ) -> None:
        """Take note of what became of operations."""
        for (held, op), result in zip(work, results, strict=True):
            allowed = self._allowed(asked, held, op)
            assert result.outcome in allowed, (
                f"{op.kind} of message {held.id} was {result.outcome}, not {sorted(allowed)}"
            )
            if result.outcome == "ok" and held.end is None:
                self._settle(asked, held, op, result)

    def _allowed(self, asked: Asked, held: Held, op: Settle) -> Outcomes:
        if held.in_doubt:
            return frozenset({"ok", "stale", "expired", "wrong_state"})
        if held.end == "ack":
            return frozenset({"ok" if op.kind == "ack" else "wrong_state"})
        if held.end is not None or held.lease.token in asked.superseded:
            return frozenset({"stale"})
        if not self._has_lapsed(held):
            return frozenset({"ok"})
        late: Outcomes = frozenset({"ok" if op.kind == "ack" else "expired", "stale"})
        return late if asked.now >= held.until else late | {"ok"}

    def _settle(self, asked: Asked, held: Held, op: Settle, result: SettleResult) -> None:
        if op.kind == "extend":
            assert result.visible_at is not None
            assert result.visible_at >= held.until, f"a lease of message {held.id} was shortened"
            held.until = result.visible_at
            return
        held.end = op.kind
        self._end(asked, held, op.kind, is_dead=result.queue != op.queue)

    def _end(self, asked: Asked, held: Held, kind: SettleKind, *, is_dead: bool) -> None:
        if kind == "ack" or is_dead:
            assert held.id not in self.acked, f"message {held.id} ended twice"
            assert held.id not in self.failed, f"message {held.id} ended twice"
            (self.failed if is_dead else self.acked).add(held.id)
        if kind == "ack":
            self.late_acks += asked.now >= held.until
            self.perhaps_late_acks += asked.now < held.until and self._has_lapsed(held)
        if kind == "release":
            self.deliveries[held.id] -= 1
        self.done["failed" if is_dead else _TOTALS[kind]] += 1

    def end(self, ended: Sequence[Ended]) -> None:
        """Take note of messages that came to their end by themselves."""
        for one in ended:
            assert (one.queue, one.how, one.moved_to) == ("q", "failed", "dead"), one
            assert one.id not in self.acked, f"message {one.id} ended twice"
            assert one.id not in self.failed, f"message {one.id} ended twice"
            self.failed.add(one.id)

    def go_away(self, work: Sequence[tuple[Held, Settle]] = ()) -> None:
        """Take note that a caller was cancelled: what it asked for was done, or not."""
        self.is_blind = True
        for held, _ in work:
            held.in_doubt = True

    def check(self, acked: Sequence[Message], dead: Sequence[Message], totals: Totals) -> None:
        """Compare what is left after the race, when all is acked or dead, with what was told."""
        ids = sorted(message.id for message in (*acked, *dead))
        assert len(set(ids)) == len(ids), "a message is in two queues"
        assert self.published <= set(ids), "a message is lost"
        assert self.acked <= {message.id for message in acked}, "a message is dead after its ack"
        assert self.failed <= {message.id for message in dead}, "a dead letter was acked"
        assert totals == Totals(
            published=len(ids),
            acked=len(acked),
            failed=len(dead),
            dead_lettered=len(dead),
            delivered=totals.delivered,
            lapsed=totals.lapsed,
            retried=totals.retried,
            released=totals.released,
        )
        if not self.is_blind:
            self._check_all(acked, dead, totals)

    def _check_all(self, acked: Sequence[Message], dead: Sequence[Message], totals: Totals) -> None:
        assert len(acked) + len(dead) == len(self.published)
        assert len(acked) == len(self.acked)
        assert {message.id for message in dead} == self.failed, "nobody told of a dead letter"
        assert {message.id: message.delivery_count for message in acked} == {
            message_id: self.deliveries[message_id] for message_id in self.acked
        }
        for name in ("delivered", "retried", "released"):
            assert getattr(totals, name) == self.done[name], name
        settled = sum(self.done.values()) - self.done["delivered"]
        lapsed = self.done["delivered"] - settled + self.late_acks
        assert lapsed <= totals.lapsed <= lapsed + self.perhaps_late_acks

    def _has_lapsed(self, held: Held) -> bool:
        return held.until <= self._clock.now()
