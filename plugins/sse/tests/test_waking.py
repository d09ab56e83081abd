"""Who shall look for messages because of what happened on another node."""

import pytest

from broker import Event
from broker_sse.waking import wakes

ONE, ALL = [("q", 1)], [("q", None)]


@pytest.mark.parametrize(
    ("kind", "woken"),
    [
        # There is one more.
        ("message.published", ONE),
        ("message.released", ONE),
        ("message.retried", ONE),
        ("message.redriven", ONE),
        # Another one of its group, or in its place, may be leased.
        ("message.acked", ONE),
        ("message.rejected", ONE),
        ("message.failed", ONE),
        ("message.dead_lettered", ONE),
        ("message.deleted", ONE),
        ("message.expired", ONE),
        # The policy is another one, or nothing is as it was.
        ("queue.created", ALL),
        ("queue.updated", ALL),
        ("queue.resumed", ALL),
        ("queue.deleted", ALL),
        ("queue.purged", ALL),
        # Nothing to lease by that.
        ("message.leased", []),
        ("message.extended", []),
        ("queue.paused", []),
        ("queue.redriven", []),
    ],
)
def test_who_is_woken(kind, woken):
    assert list(wakes(Event(kind=kind, queue="q", at=0, subject=""))) == woken


def test_a_message_that_moved_wakes_where_it_went_too():
    event = Event(kind="message.dead_lettered", queue="q", at=0, subject="", moved_to="dead")

    assert list(wakes(event)) == [("q", 1), ("dead", 1)]
