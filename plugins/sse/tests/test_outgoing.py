"""Events between the moment in which they happen and that in which they are back from Redis."""

import asyncio

from broker import Event
from broker_sse.outgoing import Outgoing

A, B, C = (Event(kind="queue.created", queue=name, at=0, subject="") for name in "abc")


def outgoing(*events):
    made = Outgoing()
    made.add(events)
    return made


def test_events_are_numbered_from_1_and_stay_until_they_are_back():
    events = outgoing(A, B, C)

    assert events.next(2) == [(1, A), (2, B)]
    events.sent(2)
    assert events.next(2) == [(3, C)]
    assert events.come_back(1)
    assert events.next(2) == [(3, C)]
    assert len(events) == 2


def test_what_is_back_before_it_is_known_to_be_sent_is_not_sent_again():
    events = outgoing(A, B, C)
    assert events.next(2) == [(1, A), (2, B)]

    assert events.come_back(1)
    assert events.come_back(2)
    events.sent(2)

    assert events.next(2) == [(3, C)]


def test_with_an_event_those_before_it_are_back_or_lost():
    events = outgoing(A, B, C)
    events.sent(3)

    assert events.come_back(2)
    assert not events.come_back(1)
    assert not events.come_back(2)
    assert events.come_back(3)
    assert len(events) == 0


def test_what_is_given_up_is_not_waited_for_and_not_taken_when_it_comes():
    events = outgoing(A, B)
    events.sent(1)

    assert events.give_up() == [A, B]
    assert not events.come_back(2)
    events.add([C])
    assert events.next(9) == [(3, C)]
    assert events.come_back(3)


async def test_who_sends_is_woken_by_events_and_when_it_shall_look():
    events = Outgoing()
    for wake in (lambda: events.add([A]), events.wake):
        waiting = asyncio.create_task(events.unsent())
        await asyncio.sleep(0)
        assert not waiting.done()
        wake()
        await waiting


def test_a_number_that_no_event_of_this_node_had_takes_none_of_its_events():
    events = outgoing(A, B)

    assert not events.come_back(3)
    assert not events.come_back(2**62)
    assert events.next(2) == [(1, A), (2, B)]
