from broker import Event, Observer
from broker.isolation import Failures
from broker.operations.observing import Observers
from broker.testing import ManualClock

EVENTS = (Event(kind="queue.created", queue="q", at=1, subject="ana"),)
DELETED = Event(kind="queue.deleted", queue="q", at=2, subject="ana")


class Records(Observer):
    in_loop = True

    def __init__(self, *, kinds=None):
        self.seen, self.kinds = [], kinds

    def notify(self, events):
        self.seen += events


class Aside(Records):
    in_loop = False


class Greedy(Records):
    def notify(self, events):
        events.clear()


def observers(*all):
    return Observers([(f"plugin{n}", one) for n, one in enumerate(all)], Failures(ManualClock()))


def test_an_observer_is_told_of_the_kinds_that_it_wants():
    everything = Records()
    deletions, nothing = Records(kinds=frozenset({"queue.deleted"})), Records(kinds=frozenset())

    told = observers(everything, deletions, nothing)
    told.notify([*EVENTS, DELETED])
    told.notify(EVENTS)

    assert everything.seen == [*EVENTS, DELETED, *EVENTS]
    assert (deletions.seen, nothing.seen) == ([DELETED], [])


def test_what_nobody_wants_need_not_be_made():
    picky = Records(kinds=frozenset({"queue.deleted"}))

    wanted = [
        [observers(*all).want(kind) for kind in ("queue.deleted", "message.acked")]
        for all in ([], [picky], [picky, Records()], [Aside()])
    ]

    assert wanted == [[False, False], [True, False], [True, True], [True, True]]


def test_no_observer_takes_events_from_another():
    last = Records()
    observers(Greedy(), last).notify(list(EVENTS))

    assert last.seen == [*EVENTS]


async def test_in_a_thread_an_observer_is_told_by_the_end_what_came_before_and_since():
    aside = Aside()
    told = observers(aside)
    told.notify(EVENTS)
    assert aside.seen == []

    async with told.listening():
        told.notify([DELETED])

    assert aside.seen == [*EVENTS, DELETED]
