"""How events are written on their way between nodes."""

import msgspec
import pytest

from broker import Event, timestamp
from broker_sse.crossing import LAST_MS, VERSION, read_crossing, write_crossing
from broker import EVENT_KINDS

EVENT = Event(
    kind="message.dead_lettered",
    queue="orders",
    at=1_700_000_000_123,
    subject="ann",
    peer="192.0.2.1",
    message_id=2**62,
    count=3,
    state="pending",
    moved_to="failed-orders",
    reason="né\0\r\n",
)


def fields(node="n", number=1, event=EVENT):
    return {VERSION.encode(): write_crossing(node, number, event)}


def test_an_event_crosses_whole_but_for_who_did_it():
    crossing = read_crossing(fields("here", 7))

    assert (crossing.node, crossing.number) == ("here", 7)
    assert crossing.event == msgspec.structs.replace(EVENT, subject="", peer="")


@pytest.mark.parametrize("kind", sorted(EVENT_KINDS))
def test_every_event_that_clients_can_be_told_of_crosses(kind):
    event = Event(kind=kind, queue="q", at=1, subject="")

    assert read_crossing(fields(event=event)).event == event


def test_it_is_short():
    event = Event(kind="message.published", queue="orders", at=1_700_000_000_123, subject="ann")

    assert len(write_crossing("0123456789ab", 10**6, event)) < 65


@pytest.mark.parametrize(
    "unreadable",
    [
        {},
        {b"2": fields()[b"1"]},
        {b"1": b""},
        {b"1": b"\xc1"},
        {b"1": msgspec.msgpack.encode(["n", 1, "queue.turned_blue", "q", 1])},
        {b"1": msgspec.msgpack.encode(["n", "1", "queue.created", "q", 1])},
        {b"1": msgspec.msgpack.encode({"node": "n"})},
        {b"1": msgspec.msgpack.encode(["n", 1, "queue.created"])},
        {b"1": msgspec.msgpack.encode(["n", 1, "queue.created", "q", LAST_MS + 1])},
        {b"1": msgspec.msgpack.encode(["n", 1, "queue.created", "q", -(2**63)])},
        {b"1": b"\x91" * 100_000},
        {b"1": fields()[b"1"].replace(b"\x9a", b"\x9b") + b"\x91" * 100_000},
    ],
)
def test_what_another_version_wrote_is_not_read(unreadable):
    assert read_crossing(unreadable) is None


def test_what_a_later_version_adds_at_the_end_is_passed_over():
    later = msgspec.msgpack.encode([*msgspec.msgpack.decode(fields()[b"1"]), "new"])

    assert read_crossing({b"1": later}) == read_crossing(fields())


def test_the_last_timestamp_there_is_crosses_and_can_be_written():
    last = msgspec.structs.replace(EVENT, at=LAST_MS)

    assert timestamp(read_crossing(fields(event=last)).at) == "9999-12-31T23:59:59.999Z"
