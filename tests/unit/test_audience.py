"""Who is told of which events."""

import pytest

from broker import EVENT_KINDS, Audience, Event, EventFilter, check_globs
from broker import audience as audience_module


def event(queue, kind="message.acked", **fields):
    return Event(kind=kind, queue=queue, at=0, subject="s", **fields)


def wants(*queues, kinds=EVENT_KINDS):
    return EventFilter.of(queues or ["*"], kinds)


def audience(**listeners):
    made = Audience()
    for name, wanted in listeners.items():
        made.join(name, wanted)
    return made


def told(audience, *events):
    return [sorted(audience.of(event)) for event in events]


def routed(audience):
    return sum(1 + len(route.listeners) for route in audience._routes.values())


def test_nobody_is_told_of_upkeep():
    assert "maintenance.done" not in EVENT_KINDS
    assert not EventFilter().takes("q", "maintenance.done")


@pytest.mark.parametrize(
    ("globs", "matching"),
    [
        (["orders"], ["orders"]),
        (["orders*"], ["orders", "orders-eu"]),
        (["order?"], ["orders"]),
        (["[mo]*"], ["orders", "orders-eu", "mail"]),
        (["[!m]*s"], ["orders"]),
        (["*-eu", "mail"], ["orders-eu", "mail"]),
        (["ORDERS"], []),  # names of queues differ by case
        (["mail["], []),  # a bracket that is not closed is one
        (["*"], ["orders", "orders-eu", "mail"]),
        ([], []),
    ],
)
def test_queues_are_named_by_globs(globs, matching):
    filter_ = EventFilter.of(globs, EVENT_KINDS)

    assert [queue for queue in ("orders", "orders-eu", "mail") if filter_.covers(queue)] == matching


def test_what_is_no_glob_is_a_name():
    filter_ = EventFilter.of(["orders", "mail*"], ["message.acked"])

    assert filter_ == EventFilter(
        kinds=frozenset(["message.acked"]),
        names=frozenset(["orders"]),
        globs=frozenset(["mail*"]),
    )


def test_only_events_of_the_kinds_are_taken():
    filter_ = wants("q", kinds=["queue.paused"])

    assert filter_.takes("q", "queue.paused")
    assert not filter_.takes("q", "queue.resumed")
    assert not filter_.takes("r", "queue.paused")


@pytest.mark.parametrize(
    ("glob", "shown"),
    [
        ("", '""'),
        ("a\nb", r'"a\nb"'),
        ("a\0", r'"a\u0000"'),
        ("\x7f", r'"\u007f"'),
        ("\udcff", r'"\udcff"'),
        ("x" * 256, '"' + "x" * 119 + "…"),
    ],
)
def test_a_glob_that_is_no_text_is_refused(glob, shown):
    check_globs(["é*", "x" * 255])
    with pytest.raises(ValueError) as refused:
        check_globs(["*", glob])

    expected = f"expected globs of 1 to 255 printable characters, received {shown}"
    assert str(refused.value) == expected


def test_fifty_globs_are_taken():
    check_globs(["*"] * 50)
    with pytest.raises(ValueError) as refused:
        check_globs(["*"] * 51)

    assert str(refused.value) == "expected at most 50 globs, received 51"


def test_no_glob_takes_long_to_match():
    """Some of the kind would take an age, were they tried in every way."""
    filter_ = wants(*("*a" * 120 + str(number) for number in range(50)))

    assert not filter_.covers("a" * 255)


class Slow:
    """A pattern that counts how often it is asked."""

    def __init__(self):
        self.asked = []

    def match(self, queue):
        self.asked.append(queue)
        return True if queue == "yes" else None


def test_globs_are_not_matched_again_with_a_queue_that_was_seen_lately(monkeypatch):
    monkeypatch.setattr(audience_module, "MAX_KNOWN", 2)
    filter_ = wants("y*")
    slow = filter_.__dict__["_pattern"] = Slow()

    assert [filter_.covers(queue) for queue in ("yes", "no", "yes", "no")] == [True, False] * 2
    assert slow.asked == ["yes", "no"]
    for number in range(10):
        filter_.covers(f"q{number}")
        assert len(filter_._known) <= 2
    assert filter_.covers("yes")


def test_what_a_filter_knows_makes_it_no_other_filter():
    one, other = EventFilter(), EventFilter()
    one.covers("q")

    assert one == other
    assert hash(one) == hash(other)


def test_listeners_are_told_of_what_they_want():
    made = audience(orders=wants("orders*"), mail=wants("mail"), all=wants())

    assert told(made, event("orders-1"), event("mail"), event("x")) == [
        ["all", "orders"],
        ["all", "mail"],
        ["all"],
    ]
    assert (list(made), len(made)) == (["orders", "mail", "all"], 3)


def test_a_dead_letter_is_told_of_where_it_was_and_where_it_went():
    made = audience(whence=wants("a"), whither=wants("b"), both=wants(), neither=wants("c"))

    letter = event("a", kind="message.dead_lettered", moved_to="b")
    assert told(made, letter) == [["both", "whence", "whither"]]


def test_who_comes_later_and_who_goes_are_reckoned_with():
    made = audience(first=wants("q"))
    assert told(made, event("q")) == [["first"]]
    made.join("second", wants("q"))
    made.join("other", wants("r"))
    assert told(made, event("q")) == [["first", "second"]]
    made.leave("first")
    made.leave("first")
    assert told(made, event("q"), event("r")) == [["second"], ["other"]]
    assert made._routed == routed(made)


def test_globs_are_matched_once_for_each_queue(monkeypatch):
    asked = []
    monkeypatch.setattr(EventFilter, "covers", lambda _, queue: asked.append(queue) or False)
    made = audience(one=wants())

    for _ in range(100):
        assert told(made, event("a"), event("b")) == [[], []]

    assert asked == ["a", "b"]


def test_nothing_is_remembered_for_nobody():
    made = Audience()

    assert told(made, event("q")) == [[]]
    assert routed(made) == 0


def test_who_comes_and_goes_pays_for_no_queues_of_which_nothing_is_told(monkeypatch):
    made = audience(one=wants())
    told(made, *(event(f"q{number}") for number in range(1_000)))
    asked = []
    monkeypatch.setattr(EventFilter, "covers", lambda _, queue: asked.append(queue) or True)
    made.join("late", wants())
    assert told(made, event("q7")) == [["late", "one"]]
    made.leave("late")

    assert asked == ["q7"]
    assert made._routed == routed(made) == 2_000
    assert "late" not in made._taken


def test_what_is_known_of_queues_is_bounded(monkeypatch):
    monkeypatch.setattr(audience_module, "MAX_ROUTES", 5)
    made = audience(one=wants("q*"))
    for number in range(20):
        assert told(made, event(f"q{number}")) == [["one"]]
        assert len(made._routes) <= 5
        assert made._routed == routed(made)
    made.leave("one")

    assert made._routed == len(made._routes)


def test_what_is_known_of_queues_is_bounded_though_many_come_to_hear_of_them(monkeypatch):
    monkeypatch.setattr(audience_module, "MAX_ROUTES", 5)
    made = Audience()
    for number in range(1, 20):
        made.join(number, wants())
        for queue in "abcd":
            assert told(made, event(queue)) == [list(range(1, number + 1))]
            assert made._routed <= 5 + number
            assert made._routed == routed(made)
