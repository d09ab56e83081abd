"""The checker refuses what it is there to refuse: each fault in a history made by hand."""

from collections import Counter

import pytest
from crash.checker import (
    Delivery,
    History,
    Publish,
    Settlement,
    Stored,
    Verdict,
    carry_over,
    check,
)

TIMES = [f"2026-01-01T00:00:{second:02}.000Z" for second in range(60)]


def got(number, body, *settlements, at=0):
    """A delivery of message `number`, leased from second `at` on for ten seconds."""
    return Delivery(number, body, TIMES[at], TIMES[at + 10], list(settlements))


def row(number, body, state="pending", queue="q"):
    return Stored(number, queue, state, body)


def ack(outcome="ok"):
    return Settlement("ack", outcome)


PUBLISHED = Publish((b"a",), "ok", (1,))
UNANSWERED = Publish((b"a",))
FORWARD = Publish((b"b",))
FORWARDING = Settlement("ack", "unknown", FORWARD)

FAULTS = [
    # Lost: promised or seen, and gone although nobody can have acked it.
    (
        History([PUBLISHED]),
        [],
        "lost: message 1 b'a' was never acked, and is not in the store",
    ),
    (
        History([PUBLISHED]),
        [row(1, b"a", "processed")],
        "lost: message 1 b'a' was never acked, and is processed",
    ),
    (
        History([PUBLISHED], [got(1, b"a")]),
        [],
        "lost: message 1 b'a' was never acked, and is not in the store",
    ),
    (
        History([PUBLISHED], [got(1, b"a", ack("refused"), Settlement("retry", "ok"))]),
        [],
        "lost: message 1 b'a' was never acked, and is not in the store",
    ),
    (
        History([UNANSWERED], [got(1, b"a")]),
        [],
        "lost: message 1 b'a' was never acked, and is not in the store",
    ),
    (
        History(held={b"a": 1}),
        [],
        "lost: message 1 b'a' was never acked, and is not in the store",
    ),
    (
        History([Publish((b"a", b"b"), "ok", (1, 2))]),
        [row(1, b"a")],
        "lost: message 2 b'b' was never acked, and is not in the store",
    ),
    (  # an answer that tells no id promises all the same
        History([Publish((b"a",), "ok")]),
        [],
        "lost: a message without id b'a' was never acked, and is not in the store",
    ),
    # Redelivered: acked, and not done with.
    (
        History([PUBLISHED], [got(1, b"a", ack())]),
        [row(1, b"a", "processing")],
        "redelivered: message 1 b'a' was acked, and is processing in q",
    ),
    (
        History([PUBLISHED], [got(1, b"a", ack()), got(1, b"a", at=20)]),
        [],
        "redelivered: message 1 b'a' was acked, and delivered again",
    ),
    (
        History([], [got(1, b"a")], finished={b"a": 1}),
        [],
        "redelivered: message 1 b'a' was acked, and delivered again after a crash",
    ),
    (
        History(finished={b"a": 1}),
        [row(1, b"a")],
        "redelivered: message 1 b'a' was acked, and is pending in q",
    ),
    (
        History(held={b"a": 1}, leased={b"a": got(1, b"a", ack())}),
        [row(1, b"a", "failed")],
        "redelivered: message 1 b'a' was acked, and is failed in q",
    ),
    # Unexpected: nobody published it, or it was refused, or its body was changed.
    (
        History(),
        [row(1, b"a")],
        "unexpected: message 1 b'a' was never published, and is there",
    ),
    (
        History([], [got(1, b"a", ack())]),
        [],
        "unexpected: message 1 b'a' was never published, and is there",
    ),
    (
        History([Publish((b"a",), "refused")]),
        [row(1, b"a")],
        "unexpected: message 1 b'a' was refused, and is there",
    ),
    (
        History([UNANSWERED], [got(1, b"A", ack())]),
        [],
        "unexpected: message 1 b'A' was never published, and is there",
    ),
    # Duplicated: one publish, two messages.
    (
        History([PUBLISHED]),
        [row(1, b"a"), row(2, b"a")],
        "duplicated: message 1 and 2 b'a' is one message with two ids",
    ),
    (
        History([UNANSWERED, Publish((b"a",), "ok", (2,))], [got(1, b"a", ack())]),
        [row(2, b"a", "processed")],
        "duplicated: message 1 and 2 b'a' is one message with two ids",
    ),
    (
        History([Publish((b"a",), "ok", (2,))], finished={b"a": 1}),
        [row(2, b"a", "processed")],
        "duplicated: message 1 and 2 b'a' is one message with two ids",
    ),
    # Torn: all or nothing, and done by half.
    (
        History([Publish((b"a", b"b", b"c"))]),
        [row(1, b"a"), row(2, b"b")],
        "torn: 3 were published at once, and b'c' is missing",
    ),
    (
        History([PUBLISHED, FORWARD], [got(1, b"a", FORWARDING)]),
        [row(1, b"a", "processing"), row(2, b"b")],
        "torn: message 1 b'a' was to be acked together with the publishing of b'b', and only one"
        " of them was done",
    ),
    (
        History([PUBLISHED, FORWARD], [got(1, b"a", FORWARDING)]),
        [],
        "torn: message 1 b'a' was to be acked together with the publishing of b'b', and only one"
        " of them was done",
    ),
    # Early: leased again while the first lease was live and nobody gave it back.
    (
        History([PUBLISHED], [got(1, b"a"), got(1, b"a", at=9)]),
        [row(1, b"a")],
        f"early: message 1 b'a' was leased until {TIMES[10]}, and leased again at {TIMES[9]}",
    ),
    (
        History([PUBLISHED], [got(1, b"a", Settlement("release", "refused")), got(1, b"a", at=9)]),
        [row(1, b"a")],
        f"early: message 1 b'a' was leased until {TIMES[10]}, and leased again at {TIMES[9]}",
    ),
    (
        History([], [got(1, b"a", at=9)], held={b"a": 1}, leased={b"a": got(1, b"a")}),
        [row(1, b"a")],
        f"early: message 1 b'a' was leased until {TIMES[10]}, and leased again at {TIMES[9]}",
    ),
]


@pytest.mark.parametrize(("history", "stored", "fault"), FAULTS)
def test_a_fault_is_found_and_names_its_message(history, stored, fault):
    verdict = check(history, stored)

    assert verdict.faults == {fault.partition(":")[0]: [fault]}


SOUND = [
    ("nothing", History(), []),
    ("acknowledged and there", History([PUBLISHED]), [row(1, b"a")]),
    ("acked and gone", History([PUBLISHED], [got(1, b"a", ack())]), []),
    ("acked and kept", History([PUBLISHED], [got(1, b"a", ack())]), [row(1, b"a", "processed")]),
    ("unanswered and not there", History([UNANSWERED]), []),
    ("unanswered and there", History([UNANSWERED]), [row(1, b"a")]),
    ("unanswered and consumed", History([UNANSWERED], [got(1, b"a", ack())]), []),
    ("refused and not there", History([Publish((b"a",), "refused")]), []),
    ("a batch that is not there", History([Publish((b"a", b"b"))]), []),
    ("a batch that is there", History([Publish((b"a", b"b"))]), [row(1, b"a"), row(2, b"b")]),
    ("an unanswered ack that was done", History([PUBLISHED], [got(1, b"a", ack("unknown"))]), []),
    (
        "an unanswered ack that was not done",
        History([PUBLISHED], [got(1, b"a", ack("unknown"))]),
        [row(1, b"a", "processing")],
    ),
    (
        "an ack that was repeated",
        History([PUBLISHED], [got(1, b"a", ack("unknown"), ack("refused"))]),
        [],
    ),
    (
        "published again with its key",
        History([UNANSWERED, Publish((b"a",), "ok", (1,))]),
        [row(1, b"a")],
    ),
    (
        "published again with its key after it was consumed",
        History([PUBLISHED], finished={b"a": 1}),
        [],
    ),
    (
        "answers that are read in another order",
        History([PUBLISHED], [got(1, b"a", ack(), at=10), got(1, b"a", ack("refused"))]),
        [],
    ),
    (
        "forwarded",
        History([PUBLISHED, FORWARD], [got(1, b"a", FORWARDING)]),
        [row(2, b"b")],
    ),
    (
        "not forwarded",
        History([PUBLISHED, FORWARD], [got(1, b"a", FORWARDING)]),
        [row(1, b"a", "processing")],
    ),
]


@pytest.mark.parametrize(
    ("history", "stored"), [row[1:] for row in SOUND], ids=[row[0] for row in SOUND]
)
def test_what_may_be_is_no_fault(history, stored):
    assert check(history, stored).faults == {}


def test_every_delivery_after_the_first_has_a_reason():
    deliveries = [
        got(1, b"a", Settlement("retry", "ok"), at=0),
        got(1, b"a", Settlement("reject"), at=1),
        got(1, b"a", at=2),
        got(1, b"a", ack("refused"), at=12),
        got(1, b"a", ack(), at=30),
    ]

    verdict = check(History([PUBLISHED], deliveries), [])

    assert verdict.duplicates == {"given back": 2, "lease over": 2}
    assert verdict.faults == {}


def test_the_figures_of_a_history():
    history = History(
        [
            Publish((b"a", b"b"), "ok", (1, 2)),
            Publish((b"c",)),
            Publish((b"d",)),
            Publish((b"e",), "refused"),
        ],
        [got(1, b"a", ack()), got(2, b"b", ack("unknown"))],
        held={b"f": 9},
    )

    assert check(history, [row(2, b"b"), row(3, b"c"), row(9, b"f")]) == Verdict(
        attempted=5,
        acknowledged=2,
        delivered=2,
        acked=1,
        recovered=1,
        remaining=3,
        duplicates=Counter(),
        faults={},
    )


def test_the_next_history_knows_what_is_held_and_what_is_finished():
    done, tried = got(1, b"a", ack()), got(2, b"b", ack("unknown"), Settlement("retry", "refused"))
    history = History(
        [Publish((b"a", b"b"), "ok", (1, 2)), Publish((b"c",)), Publish((b"d",))],
        [done, tried],
        finished={b"z": 9},
    )

    following = carry_over(history, [row(2, b"b", "processing"), row(3, b"c")])

    assert following == History(
        held={b"b": 2, b"c": 3}, leased={b"b": tried}, finished={b"z": 9, b"a": 1}
    )
    assert tried.settlements == [Settlement("retry", "refused")]


def test_an_unanswered_ack_that_finished_its_message_has_finished_it_for_good():
    history = History([PUBLISHED], [got(1, b"a", ack("unknown"))])

    following = carry_over(history, [])

    assert following == History(finished={b"a": 1})
    assert list(check(following, [row(1, b"a")]).faults) == ["redelivered"]


def test_what_was_unanswered_and_is_not_there_may_not_come_later():
    following = carry_over(History([UNANSWERED]), [])

    assert list(check(following, [row(1, b"a")]).faults) == ["unexpected"]
