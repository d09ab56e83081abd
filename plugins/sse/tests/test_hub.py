"""Who is told of what."""

from broker import Event
from broker_sse import hub as hub_module
from broker_sse.entry import Entry, EventId
from broker_sse.filters import Filter
from broker_sse.hub import Hub


class Listener:
    def __init__(self, *globs, kinds=("message.acked", "message.dead_lettered")):
        self.wants = Filter(
            kinds=frozenset(kinds), names=frozenset(), globs=frozenset(globs or ["*"])
        )
        self.heard = []
        self.asked = 0

    def offer(self, entries):
        self.heard.append([entry.id.sequence for entry in entries])

    def announce_gap(self, reason):
        self.heard.append(reason)

    def note_place(self):
        self.heard.append("place")


def make(*listeners, history=100):
    hub = Hub(history=history, buffer=10)
    for listener in listeners:
        hub.subscribe(listener)
    return hub


def entries(*queues, start=1, kind="message.acked", **fields):
    return [
        Entry(EventId("e", number), Event(kind=kind, queue=queue, at=0, subject="s", **fields))
        for number, queue in enumerate(queues, start)
    ]


def test_everybody_is_told_of_what_they_asked_for():
    orders, mail, all_ = Listener("orders*"), Listener("mail"), Listener()
    hub = make(orders, mail, all_)

    hub.tell(entries("orders-1"))
    hub.tell(entries("mail", start=2))

    assert orders.heard == [[1]]
    assert mail.heard == [[2]]
    assert all_.heard == [[1], [2]]


def test_what_one_operation_brought_is_told_at_once_and_in_order():
    some, all_ = Listener("a", "c"), Listener()
    make(some, all_).tell(entries("c", "b", "a", "c"))

    assert some.heard == [[1, 3, 4]]
    assert all_.heard == [[1, 2, 3, 4]]


def test_only_the_kinds_that_were_asked_for_are_told():
    listener = Listener(kinds=["queue.paused"])
    hub = make(listener)

    hub.tell(entries("q"))
    hub.tell(entries("q", kind="queue.paused", start=2))

    assert listener.heard == [[2]]


def test_a_dead_letter_is_told_of_where_it_was_and_where_it_went_once():
    whence, whither, both, neither = Listener("a"), Listener("b"), Listener(), Listener("c")
    make(whence, whither, both, neither).tell(
        entries("a", kind="message.dead_lettered", moved_to="b")
    )

    assert [one.heard for one in (whence, whither, both, neither)] == [[[1]], [[1]], [[1]], []]


def test_who_comes_later_and_who_goes_are_reckoned_with():
    first, second = Listener("q"), Listener("*")
    hub = make(first)
    hub.tell(entries("q"))
    hub.subscribe(second)
    hub.tell(entries("q", start=2))
    hub.unsubscribe(first)
    hub.unsubscribe(first)
    hub.tell(entries("q", start=3))

    assert first.heard == [[1], [2]]
    assert second.heard == [[2], [3]]


def test_who_comes_later_is_told_of_nothing_else():
    hub = make(Listener("q"))
    hub.tell(entries("q"))
    late, all_ = Listener("other"), Listener()
    hub.subscribe(late)
    hub.subscribe(all_)
    hub.tell(entries("q", "other", start=2))

    assert late.heard == [[3]]
    assert all_.heard == [[2, 3]]


def test_a_gap_is_announced_to_everybody_and_to_those_who_come_back_over_it():
    one, other = Listener("a"), Listener("b")
    hub = make(one, other)
    hub.tell(entries("a"))
    hub.announce_gap("redis")
    hub.tell(entries("a", start=2))

    assert one.heard == [[1], "redis", [2]]
    assert other.heard == ["redis"]
    assert hub.history.after(EventId("e", 1)).gap
    assert not hub.history.after(EventId("e", 2)).gap


def test_everybody_hears_four_times_a_history_how_far_things_are(monkeypatch):
    monkeypatch.setattr(hub_module, "FEW", 1)
    listener = Listener("other")
    hub = make(listener, history=8)
    for number in range(8):
        hub.tell(entries("q", start=number))
    hub.tell(entries(*"q" * 20, start=8))

    assert listener.heard == ["place"] * 5


def test_a_history_from_elsewhere_is_told_to_nobody():
    listener = Listener()
    hub = make(listener)
    hub.begin(entries("q", "q"), before=EventId("e", 0))

    assert listener.heard == []
    assert hub.history.newest == EventId("e", 2)
    assert [entry.id.sequence for entry in hub.history.read(0, 9)] == [1, 2]
