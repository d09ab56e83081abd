"""The contract of observers, kept by what tells those who subscribed."""

from broker import EVENT_KINDS, EventFilter
from broker.testing import ObserverContract, make_context
from broker_graphql import config_schema, provide_observer


class Listener:
    def __init__(self):
        self.told = 0

    def offer(self, events):
        self.told += len(events)


class TestEvents(ObserverContract):
    contract = "1.0"

    def make_observer(self, tmp_path, clock):
        context = make_context(tmp_path, clock, name="graphql", config=config_schema()())
        events = provide_observer(context)
        self.listener = Listener()
        events.audience.join(self.listener, EventFilter.of(["*"], EVENT_KINDS))
        return events

    def count_kept(self, observer, tmp_path):
        return self.listener.told
