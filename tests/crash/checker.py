"""What must hold for queues whose broker was killed: Jepsen's total-queue check, made stricter.

Between two looks at the store lies a `History`: what clients asked for and what they were told.
A request that got no answer is `unknown`: it may have been carried out or not. What was answered
is promised. A message is known by its body, so every body that is published is unique.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from operator import attrgetter
from typing import Literal

Outcome = Literal["ok", "refused", "unknown"]
Kind = Literal["ack", "retry", "release", "reject"]
_GIVEN_BACK: tuple[Kind, ...] = ("retry", "release", "reject")


@dataclass(slots=True)
class Publish:
    """A request to publish these bodies, all or none; the same again is another request."""

    bodies: tuple[bytes, ...]
    outcome: Outcome = "unknown"
    ids: tuple[int, ...] = ()
    """Of the bodies in order, where the answer tells them."""


@dataclass(slots=True)
class Settlement:
    """A request to end a lease; `forward` is published with it, or neither happens."""

    kind: Kind
    outcome: Outcome = "unknown"
    forward: Publish | None = None


@dataclass(slots=True)
class Delivery:
    """A message that a consumer got, its lease in the broker's time, and how it was settled.

    The times are text as REST writes it, which sorts as time does.
    """

    id: int
    body: bytes
    leased_at: str
    lease_until: str
    settlements: list[Settlement] = field(default_factory=list)

    def may_be(self, *kinds: Kind) -> bool:
        """Whether it may have been settled so: it was asked for, and not refused."""
        return any(done.kind in kinds and done.outcome != "refused" for done in self.settlements)

    @property
    def is_acked(self) -> bool:
        """Whether an ack was answered."""
        return any((done.kind, done.outcome) == ("ack", "ok") for done in self.settlements)


@dataclass(frozen=True, slots=True)
class Stored:
    """A message that the store holds."""

    id: int
    queue: str
    state: str
    body: bytes


@dataclass
class History:
    """What happened since the last look at the store, and what was known then."""

    publishes: list[Publish] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)
    held: dict[bytes, int] = field(default_factory=dict)
    """Messages that the store held and nobody had acked: their ids."""
    leased: dict[bytes, Delivery] = field(default_factory=dict)
    """Their last deliveries."""
    finished: dict[bytes, int] = field(default_factory=dict)
    """Messages that were acked, of which none may be seen again: their ids."""


@dataclass(frozen=True)
class Verdict:
    """The figures of a history, and what is wrong with it: a line for each, naming the message."""

    attempted: int
    acknowledged: int
    delivered: int
    acked: int
    recovered: int
    """Messages whose publish was never answered, and that are there."""
    remaining: int
    """Messages in the store that nobody has acked."""
    duplicates: Counter[str]
    """Deliveries after the first, by what allowed them."""
    faults: dict[str, list[str]]
    """By kind: lost, redelivered, unexpected, duplicated, torn, early."""


def check(history: History, stored: Iterable[Stored]) -> Verdict:
    """Compare a history with what the store holds at its end."""
    messages = _gather(history, stored)
    faults: defaultdict[str, list[str]] = defaultdict(list)
    duplicates: Counter[str] = Counter()
    for body, message in messages.items():
        for kind, what in message.faults():
            faults[kind].append(f"{kind}: {message.name} {body!r} {what}")
        duplicates.update(message.duplicates())
    for what in _find_torn(history, messages):
        faults["torn"].append(f"torn: {what}")
    return Verdict(
        attempted=sum(len(publish.bodies) for publish in history.publishes),
        acknowledged=sum(
            len(publish.bodies) for publish in history.publishes if publish.outcome == "ok"
        ),
        delivered=len(history.deliveries),
        acked=sum(message.is_acked for message in messages.values()),
        recovered=sum(message.is_recovered for message in messages.values()),
        remaining=sum(message.is_unfinished for message in messages.values()),
        duplicates=duplicates,
        faults=dict(faults),
    )


def carry_over(history: History, stored: Iterable[Stored]) -> History:
    """Begin the next history. The broker is dead, so what was unknown is decided now.

    A publish without an answer is in the store by now or never will be, and an ack without an
    answer has finished its message by now or never will.
    """
    following = History(finished=dict(history.finished))
    for body, message in _gather(history, stored).items():
        if not message.ids:
            continue
        if not message.is_unfinished:
            following.finished[body] = min(message.ids)
            continue
        following.held[body] = min(message.ids)
        if message.deliveries:
            last = max(message.deliveries, key=attrgetter("leased_at"))
            following.leased[body] = last
            last.settlements = [done for done in last.settlements if done.kind != "ack"]
    return following


@dataclass
class _Message:
    """All that is known of one body."""

    outcomes: set[Outcome] = field(default_factory=set)
    ids: set[int] = field(default_factory=set)
    deliveries: list[Delivery] = field(default_factory=list)
    held_before: bool = False
    finished_before: bool = False
    row: Stored | None = None

    @property
    def name(self) -> str:
        ids = " and ".join(map(str, sorted(self.ids)))
        return f"message {ids}" if ids else "a message without id"

    @property
    def is_acked(self) -> bool:
        return any(delivery.is_acked for delivery in self.deliveries)

    @property
    def is_unfinished(self) -> bool:
        return self.row is not None and self.row.state != "processed"

    @property
    def is_recovered(self) -> bool:
        is_new = not self.held_before and not self.finished_before
        return is_new and "ok" not in self.outcomes and bool(self.ids)

    @property
    def may_be_finished(self) -> bool:
        return self.finished_before or any(got.may_be("ack") for got in self.deliveries)

    def faults(self) -> Iterator[tuple[str, str]]:
        """Tell what is wrong with it, as kinds and texts."""
        is_known = self.held_before or self.finished_before
        if not is_known and not self.outcomes & {"ok", "unknown"}:
            if self.ids:
                why = "was refused" if self.outcomes else "was never published"
                yield "unexpected", f"{why}, and is there"
            return
        if len(self.ids) > 1:
            yield "duplicated", "is one message with two ids"
        if self.finished_before and self.deliveries:
            yield "redelivered", "was acked, and delivered again after a crash"
        if (self.finished_before or self.is_acked) and self.is_unfinished:
            yield "redelivered", f"was acked, and is {self.row.state} in {self.row.queue}"
        yield from self._faults_between_deliveries()
        is_promised = is_known or "ok" in self.outcomes or bool(self.ids)
        if is_promised and not self.is_unfinished and not self.may_be_finished:
            where = "is not in the store" if self.row is None else "is processed"
            yield "lost", f"was never acked, and {where}"

    def _faults_between_deliveries(self) -> Iterator[tuple[str, str]]:
        for earlier, later in self._redeliveries():
            if earlier.is_acked:
                yield "redelivered", "was acked, and delivered again"
            elif later.leased_at < earlier.lease_until and not earlier.may_be(*_GIVEN_BACK):
                yield (
                    "early",
                    f"was leased until {earlier.lease_until}, and leased again at"
                    f" {later.leased_at}",
                )

    def duplicates(self) -> Iterator[str]:
        """Tell why it was delivered more than once, for each time."""
        for earlier, _ in self._redeliveries():
            yield "given back" if earlier.may_be(*_GIVEN_BACK) else "lease over"

    def _redeliveries(self) -> Iterator[tuple[Delivery, Delivery]]:
        # In the broker's order: answers to different clients may be read in another.
        return pairwise(sorted(self.deliveries, key=attrgetter("leased_at")))


def _gather(history: History, stored: Iterable[Stored]) -> dict[bytes, _Message]:
    messages: defaultdict[bytes, _Message] = defaultdict(_Message)
    for body, message_id in history.held.items():
        messages[body].held_before = True
        messages[body].ids.add(message_id)
    for body, delivery in history.leased.items():
        messages[body].deliveries.append(delivery)
    for publish in history.publishes:
        for body in publish.bodies:
            messages[body].outcomes.add(publish.outcome)
        for body, message_id in zip(publish.bodies, publish.ids, strict=False):
            messages[body].ids.add(message_id)
    for delivery in history.deliveries:
        messages[delivery.body].deliveries.append(delivery)
        messages[delivery.body].ids.add(delivery.id)
    for row in stored:
        messages[row.body].row = row
        messages[row.body].ids.add(row.id)
    for body in messages.keys() & history.finished.keys():
        messages[body].finished_before = True
        messages[body].ids.add(history.finished[body])
    return dict(messages)


def _find_torn(history: History, messages: dict[bytes, _Message]) -> Iterator[str]:
    """Find what is all or nothing, and was done by half."""
    for publish in history.publishes:
        missing = [body for body in publish.bodies if not messages[body].ids]
        if publish.outcome == "unknown" and 0 < len(missing) < len(publish.bodies):
            yield f"{len(publish.bodies)} were published at once, and {missing[0]!r} is missing"
    for delivery in history.deliveries:
        for done in delivery.settlements:
            if done.forward is None or done.outcome != "unknown":
                continue
            [forwarded] = done.forward.bodies
            is_finished = not messages[delivery.body].is_unfinished
            if is_finished != bool(messages[forwarded].ids):
                yield (
                    f"message {delivery.id} {delivery.body!r} was to be acked together with the"
                    f" publishing of {forwarded!r}, and only one of them was done"
                )
