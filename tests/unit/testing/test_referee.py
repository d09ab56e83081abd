"""The referee of races: what it lets pass, and each thing for which it ends a race."""

import itertools

import msgspec
import pytest

from broker import Ended, Lease, Message, Settle, SettleResult, Totals
from broker.testing import ManualClock
from broker.testing.storage.referee import Held, Referee

tokens = (number.to_bytes(16, "big") for number in itertools.count())


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def referee(clock: ManualClock) -> Referee:
    return Referee(clock)


def message(message_id: int, *, delivery_count: int = 1, visible_at: int = 0) -> Message:
    return Message(
        id=message_id,
        queue="q",
        queue_id=1,
        state="processing",
        body=b"",
        content_type="",
        headers={},
        priority=4,
        group=None,
        dedup_key=None,
        enqueued_at=0,
        updated_at=0,
        visible_at=visible_at,
        expires_at=None,
        delivery_count=delivery_count,
        first_delivered_at=0,
        finished_at=None,
        reason=None,
        origin_queue=None,
        leased_by="tester",
    )


def lease(clock: ManualClock, message_id: int, *, delivery_count: int = 1) -> Lease:
    until = clock.now() + 30_000
    found = message(message_id, delivery_count=delivery_count, visible_at=until)
    return Lease(found, next(tokens))


def take(referee: Referee, clock: ManualClock, message_id: int, *, delivery_count: int = 1) -> Held:
    asked = referee.ask_to_lease()
    [held] = referee.lease(asked, [lease(clock, message_id, delivery_count=delivery_count)])
    return held


def settle(referee: Referee, held: Held, kind: str, outcome: str = "ok", **result: object) -> None:
    op = Settle(id=held.id, queue="q", kind=kind, token=held.lease.token)
    asked = referee.ask_to_settle([(held, op)])
    answer = SettleResult(id=held.id, outcome=outcome, **{"queue": "q", **result})
    referee.settle(asked, [(held, op)], [answer])


def test_leases_that_follow_each_other_do_not_overlap(referee: Referee, clock: ManualClock) -> None:
    first = take(referee, clock, 1)
    settle(referee, first, "retry")
    take(referee, clock, 1, delivery_count=2)
    clock.advance(30)
    take(referee, clock, 1, delivery_count=3)


def test_two_leases_that_overlap_end_the_race(referee: Referee, clock: ManualClock) -> None:
    take(referee, clock, 1)
    clock.advance(29.999)
    with pytest.raises(AssertionError, match="two leases of message 1 overlap"):
        take(referee, clock, 1, delivery_count=2)


def test_a_lease_ends_when_its_holder_asks_and_not_when_that_is_answered(
    referee: Referee, clock: ManualClock
) -> None:
    held = take(referee, clock, 1)
    referee.ask_to_settle([(held, Settle(id=1, queue="q", kind="retry", token=held.lease.token))])
    take(referee, clock, 1, delivery_count=2)


def test_an_extended_lease_may_not_overlap_in_its_longer_time(
    referee: Referee, clock: ManualClock
) -> None:
    held = take(referee, clock, 1)
    settle(referee, held, "extend", visible_at=clock.now() + 60_000)
    clock.advance(59)
    with pytest.raises(AssertionError, match="two leases of message 1 overlap"):
        take(referee, clock, 1, delivery_count=2)


def test_a_lease_that_is_answered_after_its_end_proves_nothing(
    referee: Referee, clock: ManualClock
) -> None:
    asked = referee.ask_to_lease()
    late = lease(clock, 1)
    clock.advance(30)
    current = take(referee, clock, 1)
    [held] = referee.lease(asked, [msgspec.structs.replace(late, message=message(1))])
    assert held.in_doubt
    assert current.in_doubt


def test_a_token_that_was_used_ends_the_race(referee: Referee, clock: ManualClock) -> None:
    first = lease(clock, 1)
    referee.lease(referee.ask_to_lease(), [first])
    with pytest.raises(AssertionError, match="message 2 got a token that was used"):
        referee.lease(referee.ask_to_lease(), [Lease(message(2, visible_at=10**15), first.token)])


def test_leases_out_of_order_end_the_race(referee: Referee, clock: ManualClock) -> None:
    with pytest.raises(AssertionError, match=r"messages \[2, 1\] were leased out of order"):
        referee.lease(referee.ask_to_lease(), [lease(clock, 2), lease(clock, 1)])


def test_a_first_delivery_after_that_of_a_later_message_ends_the_race(
    referee: Referee, clock: ManualClock
) -> None:
    take(referee, clock, 2)
    with pytest.raises(AssertionError, match="message 1 came first after message 2 did"):
        take(referee, clock, 1)


def test_first_deliveries_that_were_asked_for_together_may_be_answered_in_any_order(
    referee: Referee, clock: ManualClock
) -> None:
    asked = [referee.ask_to_lease(), referee.ask_to_lease()]
    referee.lease(asked[1], [lease(clock, 2)])
    referee.lease(asked[0], [lease(clock, 1)])


@pytest.mark.parametrize(
    ("kind", "queue", "match"),
    [
        ("ack", "q", "message 1 came back after its ack"),
        ("reject", "dead", "message 1 came back after it failed"),
    ],
)
def test_a_message_that_comes_back_ends_the_race(
    referee: Referee, clock: ManualClock, kind: str, queue: str, match: str
) -> None:
    settle(referee, take(referee, clock, 1), kind, queue=queue)
    with pytest.raises(AssertionError, match=match):
        take(referee, clock, 1, delivery_count=2)


@pytest.mark.parametrize(
    ("before", "kind", "outcomes"),
    [
        # what happened to the lease, what is asked of it, what may be answered
        ("nothing", "ack", {"ok"}),
        ("nothing", "retry", {"ok"}),
        ("acked", "ack", {"ok"}),
        ("acked", "retry", {"wrong_state"}),
        ("released", "ack", {"stale"}),
        ("released", "extend", {"stale"}),
        ("lapsed", "ack", {"ok", "stale"}),
        ("lapsed", "retry", {"expired", "stale"}),
        ("superseded", "ack", {"stale"}),
        ("superseded", "retry", {"stale"}),
    ],
)
@pytest.mark.parametrize("outcome", ["ok", "stale", "expired", "wrong_state", "not_found"])
def test_only_what_may_be_answered_is_accepted(
    referee: Referee, clock: ManualClock, before: str, kind: str, outcomes: set[str], outcome: str
) -> None:
    held = take(referee, clock, 1)
    if before == "acked":
        settle(referee, held, "ack")
    elif before == "released":
        settle(referee, held, "release")
    elif before in ("lapsed", "superseded"):
        clock.advance(30)
    if before == "superseded":
        take(referee, clock, 1, delivery_count=2)
    result = {"visible_at": held.until} if kind == "extend" else {}
    if outcome in outcomes:
        settle(referee, held, kind, outcome, **result)
    else:
        with pytest.raises(AssertionError, match=f"{kind} of message 1 was {outcome}"):
            settle(referee, held, kind, outcome, **result)


def test_a_lease_that_ends_while_it_is_settled_may_be_answered_both_ways(
    referee: Referee, clock: ManualClock
) -> None:
    held = take(referee, clock, 1)
    op = Settle(id=1, queue="q", kind="ack", token=held.lease.token)
    asked = referee.ask_to_settle([(held, op)])
    clock.advance(30)
    referee.settle(asked, [(held, op)], [SettleResult(id=1, outcome="ok", queue="q")])
    assert (referee.late_acks, referee.perhaps_late_acks) == (0, 1)


def test_a_shorter_lease_ends_the_race(referee: Referee, clock: ManualClock) -> None:
    held = take(referee, clock, 1)
    with pytest.raises(AssertionError, match="a lease of message 1 was shortened"):
        settle(referee, held, "extend", visible_at=held.until - 1)


def test_two_acks_by_different_leases_end_the_race(referee: Referee, clock: ManualClock) -> None:
    first = take(referee, clock, 1)
    clock.advance(30)
    second = take(referee, clock, 1, delivery_count=2)
    settle(referee, second, "ack")
    first.in_doubt = True
    with pytest.raises(AssertionError, match="message 1 ended twice"):
        settle(referee, first, "ack")


RIGHT = Totals(published=2, delivered=2, acked=1, failed=1, dead_lettered=1)


def finished(referee: Referee, clock: ManualClock) -> None:
    """Race: message 1 is acked, message 2 a dead letter."""
    referee.published = {1, 2}
    settle(referee, take(referee, clock, 1), "ack")
    settle(referee, take(referee, clock, 2), "reject", queue="dead")


def test_what_agrees_with_the_answers_passes(referee: Referee, clock: ManualClock) -> None:
    finished(referee, clock)
    referee.check([message(1)], [message(2)], RIGHT)


def test_a_released_delivery_does_not_count(referee: Referee, clock: ManualClock) -> None:
    referee.published = {1}
    settle(referee, take(referee, clock, 1), "release")
    settle(referee, take(referee, clock, 1), "ack")
    referee.check([message(1)], [], Totals(published=1, delivered=2, released=1, acked=1))


@pytest.mark.parametrize(
    ("acked", "dead", "totals"),
    [
        ([], [2], {"published": 1, "acked": 0}),  # one is lost
        ([1, 2], [2], {"published": 3, "acked": 2}),  # one is in two queues
        ([2], [1], {}),  # each is where the other should be
        ([1], [2], {"published": 3}),
        ([1], [2], {"delivered": 3}),
        ([1], [2], {"acked": 2}),
        ([1], [2], {"retried": 1}),
        ([1], [2], {"released": 1}),
        ([1], [2], {"failed": 2}),
        ([1], [2], {"dead_lettered": 0}),
        ([1], [2], {"lapsed": 1}),
        ([1], [2], {"expired": 1}),
    ],
)
def test_what_does_not_agree_with_the_answers_ends_the_race(
    referee: Referee, clock: ManualClock, acked: list[int], dead: list[int], totals: dict[str, int]
) -> None:
    finished(referee, clock)
    kept = [[message(message_id) for message_id in ids] for ids in (acked, dead)]
    with pytest.raises(AssertionError):
        referee.check(*kept, msgspec.structs.replace(RIGHT, **totals))


def test_a_wrong_delivery_count_at_the_end_ends_the_race(
    referee: Referee, clock: ManualClock
) -> None:
    finished(referee, clock)
    with pytest.raises(AssertionError):
        referee.check([message(1, delivery_count=2)], [message(2)], RIGHT)


def ended(message_id: int, **said: object) -> Ended:
    facts = {"queue": "q", "how": "failed", "reason": "", "moved_to": "dead", **said}
    return Ended(id=message_id, **facts)


def test_an_end_that_is_told_once_is_right(referee: Referee) -> None:
    referee.published = {1, 2, 3}
    referee.end([ended(2)])
    referee.end([ended(3)])
    assert referee.failed == {2, 3}


@pytest.mark.parametrize(
    "said", [{"queue": "dead"}, {"how": "expired"}, {"moved_to": None}], ids=str
)
def test_an_end_that_cannot_be_in_a_race_ends_it(referee: Referee, said: dict[str, object]) -> None:
    with pytest.raises(AssertionError, match="Ended"):
        referee.end([ended(1, **said)])


def test_an_end_that_is_told_twice_ends_the_race(referee: Referee) -> None:
    referee.end([ended(1)])
    with pytest.raises(AssertionError, match="message 1 ended twice"):
        referee.end([ended(1)])


@pytest.mark.parametrize("kind", ["ack", "reject"])
def test_an_end_after_a_settlement_that_was_one_ends_the_race(
    referee: Referee, clock: ManualClock, kind: str
) -> None:
    settle(referee, take(referee, clock, 1), kind, queue="q" if kind == "ack" else "dead")
    with pytest.raises(AssertionError, match="message 1 ended twice"):
        referee.end([ended(1)])


def test_a_dead_letter_of_which_nobody_told_ends_the_race(referee: Referee) -> None:
    referee.published = {1}
    with pytest.raises(AssertionError, match="nobody told of a dead letter"):
        referee.check([], [message(1)], Totals(published=1, failed=1, dead_lettered=1))
