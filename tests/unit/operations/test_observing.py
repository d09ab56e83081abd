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


def test_no_observers_are_false_so_that_no_event_need_be_made():
    assert not Observers([])
