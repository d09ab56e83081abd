"""The observer that keeps what it is told."""

from broker import Event
from broker.testing import Recorder


def event(kind, queue, moved_to=None):
    return Event(kind=kind, queue=queue, at=1, subject="alice", moved_to=moved_to)


def test_what_is_told_is_kept_in_its_order_and_by_queue():
    recorder = Recorder()
    events = [event("queue.created", "q"), event("message.dead_lettered", "p", moved_to="q")]

    recorder.notify(events[:1])
    recorder.notify(events[1:])

    assert recorder.events == events
    assert recorder.told() == ["queue.created", "message.dead_lettered"]
    assert recorder.told("p") == ["message.dead_lettered"]
    assert recorder.told("q") == ["queue.created", "message.dead_lettered"]
