"""Places in which to wait: whatever happens to those who wait, the count of them is right."""

import asyncio
from collections import Counter

from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from broker import (
    Broker,
    BrokerInfo,
    Draft,
    Identity,
    Overloaded,
    QueueSpec,
    TooManyWaiting,
    Unauthenticated,
)
from broker.builtin.memory import MemoryStorage
from broker.builtin.scopes import ScopeAuthorizer
from broker.providers import Providers
from broker.testing import ManualClock

ADMIN = frozenset({"admin"})
MOST, MOST_EACH = 4, 2
IDENTITIES = [Identity(subject=name, scopes=ADMIN) for name in ("ana", "bob", "eve")]


class Waiters(RuleBasedStateMachine):
    """Clients that wait, come and go, beside a plain count of them."""

    def __init__(self):
        super().__init__()
        self.runner = asyncio.Runner()
        self.clock = ManualClock()
        self.locked_out = set()
        self.waiters = []
        storage = MemoryStorage()
        self.broker = Broker(
            Providers(storage=("memory", storage), authorizer=("scopes", ScopeAuthorizer())),
            clock=self.clock,
            info=BrokerInfo(
                version="1", started_at=0, storage="memory", capabilities=storage.capabilities
            ),
            max_queues=1000,
            max_requests=1000,
            max_waiting=MOST,
            max_waiting_per_identity=MOST_EACH,
            max_streams=1000,
            max_streams_per_identity=30,
        )
        self.places = self.broker._leasing._places
        self.run(storage.open())
        self.run(self.broker.queues.create(IDENTITIES[0], QueueSpec("q")))

    def run(self, work):
        async def run():
            result = await work
            for _ in range(30):
                await asyncio.sleep(0)
            return result

        return self.runner.run(run())

    def waiting(self):
        return Counter(name for name, task in self.waiters if not task.done())

    async def begin(self, identity):
        async def recheck():
            if identity.subject in self.locked_out:
                raise Unauthenticated
            return identity

        lease = self.broker.lease(identity, "q", wait=20, recheck=recheck)
        return asyncio.ensure_future(lease)

    @rule(identity=st.sampled_from(IDENTITIES))
    def come(self, identity):
        before = self.waiting()
        counts = self.run(self.broker.queues.get(IDENTITIES[0], "q")).counts
        held = counts.pending - counts.scheduled
        task = self.run(self.begin(identity))
        self.waiters.append((identity.subject, task))
        if held or self.broker.draining:
            assert bool(task.result().deliveries) == bool(held)
        elif before[identity.subject] >= MOST_EACH:
            assert isinstance(task.exception(), TooManyWaiting)
        elif before.total() >= MOST:
            assert isinstance(task.exception(), Overloaded)
        else:
            assert not task.done()

    @precondition(lambda self: self.waiters)
    @rule(data=st.data())
    def leave(self, data):
        _, task = data.draw(st.sampled_from(self.waiters))
        task.cancel()
        self.run(asyncio.sleep(0))

    @rule(count=st.integers(1, 3))
    def publish(self, count):
        self.run(self.broker.publish(IDENTITIES[0], [Draft(queue="q", body=b"x")] * count))

    @rule(delay=st.sampled_from([1, 30]))
    def publish_for_later(self, delay):
        self.run(self.broker.publish(IDENTITIES[0], [Draft(queue="q", body=b"x", delay=delay)]))

    @rule(seconds=st.sampled_from([1, 5, 20]))
    def wait(self, seconds):
        self.clock.advance(seconds)
        self.run(asyncio.sleep(0))

    @rule(identity=st.sampled_from(IDENTITIES))
    def lock_out(self, identity):
        self.locked_out.symmetric_difference_update({identity.subject})

    @rule()
    def delete_the_queue(self):
        self.run(self.broker.queues.drop(IDENTITIES[0], "q"))
        self.run(self.broker.queues.create(IDENTITIES[0], QueueSpec("q")))

    @rule()
    def drain(self):
        self.broker.drain()
        self.run(asyncio.sleep(0))
        assert not self.waiting()

    @invariant()
    def the_places_taken_are_those_who_wait(self):
        taken = Counter({subject: count for (_, subject), count in self.places._taken.items()})
        assert taken == self.waiting()
        assert self.places.in_all == taken.total()

    def teardown(self):
        for _, task in self.waiters:
            task.cancel()
        self.run(asyncio.sleep(0))
        for _, task in self.waiters:
            task.cancelled() or task.exception()
        assert self.places.in_all == 0
        self.runner.close()


Waiters.TestCase.settings = settings(max_examples=60, stateful_step_count=25)
TestWaiters = Waiters.TestCase
