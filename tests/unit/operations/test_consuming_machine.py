"""Streams of one queue: whatever happens, what they hold is what they are counted for, and nobody
sleeps beside work."""

import asyncio

from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from readers import ADMIN, House, settle_loop

from broker import Settlement
from broker.receipts import Receipt

LEASE_SECONDS = 30


class Consumers(RuleBasedStateMachine):
    """Readers that come, settle, are slow, and go, beside long-polls and all that a queue knows."""

    def __init__(self):
        super().__init__()
        self.runner = asyncio.Runner()
        self.house = House()
        self.readers = []
        self.polls = []
        self.drained = False
        self.run(self.house.open(lease_seconds=LEASE_SECONDS, max_deliveries=None))
        self.names = iter(range(1000))

    def run(self, work):
        async def run():
            result = await work
            await settle_loop()
            return result

        return self.runner.run(run())

    def teardown(self):
        for reader in self.readers:
            self.run(reader.leave())
        assert self.house.runtime.holders._by_queue == {}
        assert self.house.runtime.holders._by_message == {}
        for poll in self.polls:
            poll.cancel()
        self.run(asyncio.sleep(0))
        assert self.house.runtime.waiting._lines == {}
        assert self.house.runtime.waiting._alarms == {}
        self.runner.close()

    def held(self):
        return [one for reader in self.readers for one in reader.got]

    @precondition(lambda self: len(self.readers) < 4)
    @rule(prefetch=st.sampled_from([1, 2, 5]))
    def come(self, prefetch):
        name = f"reader {next(self.names)}"
        self.readers.append(self.run(self.house.read(name, prefetch=prefetch)))

    @rule(count=st.integers(1, 4), size=st.sampled_from([1, 40_000]))
    def publish(self, count, size):
        self.run(self.house.publish(count, body=b"x" * size))

    @rule(delay=st.sampled_from([1, 40]), count=st.integers(1, 3))
    def publish_for_later(self, delay, count):
        self.run(self.house.publish(count, delay=delay))

    @rule(count=st.integers(1, 2), group=st.sampled_from("ab"))
    def publish_in_a_group(self, count, group):
        self.run(self.house.publish(count, group=group))

    @precondition(lambda self: self.held())
    @rule(
        data=st.data(),
        kind=st.sampled_from(["ack", "ack", "retry", "release", "reject", "extend"]),
        fenced=st.booleans(),
    )
    def settle(self, data, kind, fenced):
        chosen = data.draw(st.lists(st.sampled_from(self.held()), min_size=1, max_size=4))
        if fenced:
            self.run(self.house.settle(chosen, kind))
            return
        receipts = [Receipt(None, one.message.id, 1, "q") for one in chosen]
        settlements = [Settlement(receipt=receipt, kind=kind) for receipt in receipts]
        self.run(self.house.broker.settle(ADMIN, settlements))

    @rule(seconds=st.sampled_from([1, 5, 29, 31]))
    def wait(self, seconds):
        self.run(self.house.advance(seconds))

    @precondition(lambda self: self.readers)
    @rule(data=st.data())
    def leave(self, data):
        reader = data.draw(st.sampled_from(self.readers))
        self.readers.remove(reader)
        self.run(reader.leave())
        assert self.run(self.house.leased_by(reader.identity.subject)) == set()

    @precondition(lambda self: self.readers)
    @rule(data=st.data())
    def stick_or_go_on(self, data):
        reader = data.draw(st.sampled_from(self.readers))
        if reader.is_stuck:
            self.run(reader.go_on())
        else:
            reader.stick()

    @rule(limit=st.integers(1, 2))
    def poll(self, limit):
        async def begin():
            lease = self.house.broker.lease(ADMIN, "q", limit=limit, wait=20)
            return asyncio.ensure_future(lease)

        self.polls.append(self.run(begin()))

    @rule(paused=st.booleans())
    def pause(self, paused):
        self.run(self.house.broker.queues.pause(ADMIN, "q", paused=paused))

    @rule(most=st.sampled_from([None, 2]))
    def bound_what_is_in_flight(self, most):
        self.run(self.house.broker.queues.patch(ADMIN, "q", {"max_in_flight": most}))

    @rule(states=st.sampled_from([("processing",), ("pending", "processing")]))
    def purge(self, states):
        self.run(self.house.broker.queues.purge(ADMIN, "q", states=states))

    @precondition(lambda self: self.held())
    @rule(data=st.data())
    def delete(self, data):
        message = data.draw(st.sampled_from(self.held())).message
        self.run(self._delete(message.id))

    async def _delete(self, message_id):
        if message_id in self.house.storage._store.rows:
            await self.house.broker.delete_message(ADMIN, message_id)

    @invariant()
    def what_they_hold_is_what_they_are_counted_for(self):
        by_message = {}
        for reader in self.readers:
            held = self.run(self.house.leased_by(reader.identity.subject))
            assert len(held) <= reader.consuming._prefetch
            if not reader.is_stuck:  # or it may not have asked yet what a purge left
                assert reader.consuming.unsettled == len(held)
                by_message |= dict.fromkeys(held, reader.consuming._unsettled)
        holders = self.house.runtime.holders
        holders.count("q")
        for message_id, holder in by_message.items():
            assert holders._by_message[message_id] is holder

    @invariant()
    def nobody_sleeps_beside_work(self):
        queue = self.house.storage._store.queue("q", self.house.clock.now())
        most = queue.policy.max_in_flight
        if queue.policy.paused or (most is not None and len(queue.leased) >= most):
            return
        if queue.ready.oldest() is None:
            return
        assert [poll for poll in self.polls if not poll.done()] == []
        for reader in self.readers:
            assert reader.is_stuck or reader.consuming.unsettled == reader.consuming._prefetch

    @invariant()
    def nobody_failed(self):
        assert [reader for reader in self.readers if reader.task.done()] == []


Consumers.TestCase.settings = settings(max_examples=100, stateful_step_count=40)
TestConsumers = Consumers.TestCase
