from broker import Event, Observer
from broker.operations.observing import Observers

EVENTS = [Event(kind="queue.created", queue="q", at=1, subject="ana")]


class Records(Observer):
    def __init__(self, error=None):
        self.seen, self.error = [], error

    def notify(self, events):
        self.seen += events
        if self.error:
            raise self.error


def test_an_observer_that_fails_hurts_nobody_and_is_counted_and_named(caplog):
    broken, fine = Records(RuntimeError("full")), Records()
    observers = Observers([("acme", broken), ("log", fine)])

    observers.notify(EVENTS)

    assert (broken.seen, fine.seen) == (EVENTS, EVENTS)
    assert observers.failures == {"acme": 1}
    assert caplog.messages == ['observer of plugin "acme" failed']


def test_an_observer_is_told_of_the_kinds_that_it_wants():
    everything, deletions, nothing = Records(), Records(), Records()
    deletions.kinds = frozenset({"queue.deleted"})
    nothing.kinds = frozenset()
    deleted = Event(kind="queue.deleted", queue="q", at=2, subject="ana")

    observers = Observers([("a", everything), ("b", deletions), ("c", nothing)])
    observers.notify([*EVENTS, deleted])
    observers.notify(EVENTS)

    assert everything.seen == [*EVENTS, deleted, *EVENTS]
    assert (deletions.seen, nothing.seen) == ([deleted], [])


def test_what_nobody_wants_need_not_be_made():
    picky = Records()
    picky.kinds = frozenset({"queue.deleted"})

    wanted = [
        [Observers(observers).want(kind) for kind in ("queue.deleted", "message.acked")]
        for observers in ([], [("a", picky)], [("a", picky), ("b", Records())])
    ]

    assert wanted == [[False, False], [True, False], [True, True]]
