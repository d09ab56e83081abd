"""Who is told of what happens."""

from broker import EVENT_KINDS, Event, EventFilter
from broker_graphql.events import Events
from broker_graphql.schema import make_schema


class Listener:
    def __init__(self):
        self.heard = []

    def offer(self, events):
        self.heard.append([event.queue for event in events])


def events(*queues):
    return [Event(kind="message.acked", queue=queue, at=0, subject="s") for queue in queues]


def test_what_one_operation_brought_is_told_at_once_and_in_order():
    told, some, all_ = Events(), Listener(), Listener()
    told.audience.join(some, EventFilter.of(["a", "c"], EVENT_KINDS))
    told.audience.join(all_, EventFilter())

    told.notify(events("c", "b", "a", "c"))
    told.notify(events("b"))

    assert some.heard == [["c", "a", "c"]]
    assert all_.heard == [["c", "b", "a", "c"], ["b"]]


def test_clients_name_exactly_the_kinds_of_events_that_they_are_told_of():
    kinds = make_schema().type_map["EventKind"].values

    assert {value.value for value in kinds.values()} == EVENT_KINDS
    assert Events.kinds == EVENT_KINDS


def test_nothing_is_looked_up_while_nobody_listens():
    told = Events()
    told.notify(events("a", "b"))

    assert told.audience._routes == {}
