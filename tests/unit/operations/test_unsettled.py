import math
from types import SimpleNamespace

from broker import Page, Settle, SettleResult
from broker.operations.unsettled import Holders, Unsettled
from broker.testing import ManualClock


class Browsed:
    """A storage that is only looked at; `messages` are those that it has, by id."""

    def __init__(self, *, shared=False, size=100):
        self.capabilities = frozenset({"shared"} if shared else ())
        self.messages = {}
        self.size = size
        self.queries = []

    async def browse(self, query, *, now):
        self.queries.append(query)
        found = [self.messages[id] for id in query.ids if id > query.after and id in self.messages]
        page = found[: self.size]
        return Page(page, page[-1].id if len(found) > len(page) else None)


def lease(id, until, token=b"t"):
    message = SimpleNamespace(id=id, queue="q", visible_at=until, state="processing")
    return SimpleNamespace(message=message, token=token)


class Setting:
    def __init__(self, **storage):
        self.clock = ManualClock()
        self.holders = Holders()
        self.storage = Browsed(**storage)
        self.told = 0
        self.unsettled = self.another()

    def another(self):
        unsettled = Unsettled("q", self.holders, self.storage, self.clock)
        unsettled.changed = self.tell
        return unsettled

    def tell(self):
        self.told += 1

    def in_seconds(self, seconds):
        return self.clock.now() + seconds * 1000

    def keep(self, *ids, seconds=30):
        leases = [lease(id, self.in_seconds(seconds)) for id in ids]
        self.storage.messages |= {each.message.id: each.message for each in leases}
        self.unsettled.keep(leases)

    def settle(self, id, kind, until=None):
        op = Settle(id=id, queue="q", kind=kind)
        self.holders.settle(op, SettleResult(id=id, outcome="ok", visible_at=until))


def test_what_is_settled_is_held_no_more_and_told_of():
    setting = Setting()
    setting.keep(1, 2, 3)

    setting.settle(1, "ack")
    setting.settle(2, "retry", until=setting.in_seconds(5))
    setting.settle(9, "ack")

    assert (setting.unsettled.count(), setting.told) == (1, 2)


def test_an_extended_lease_is_held_until_its_new_end():
    setting = Setting()
    setting.keep(1, 2)
    setting.settle(1, "extend", until=setting.in_seconds(60))

    setting.clock.advance(30)
    assert setting.unsettled.count() == 1
    assert setting.unsettled.due == setting.in_seconds(30)
    setting.clock.advance(30)

    assert (setting.unsettled.count(), setting.unsettled.due) == (0, math.inf)


def test_a_message_is_held_by_whom_it_was_leased_to_last():
    setting = Setting()
    setting.keep(1, seconds=10)
    setting.clock.advance(10)
    other = setting.another()
    other.keep([lease(1, setting.in_seconds(10))])
    assert setting.unsettled.count() == 0

    setting.settle(1, "ack")

    assert other.count() == 0


def test_the_end_releases_what_is_not_over_by_its_token_and_leaves_nothing():
    setting = Setting()
    setting.keep(1, seconds=10)
    setting.unsettled.keep([lease(2, setting.in_seconds(20), token=b"two")])
    setting.clock.advance(10)

    assert setting.unsettled.end() == [Settle(id=2, queue="q", kind="release", token=b"two")]
    assert setting.unsettled.end() == []
    assert (setting.holders._by_queue, setting.holders._by_message) == ({}, {})


def test_the_end_can_release_some_of_them_only():
    setting = Setting()
    setting.keep(1, 2, 3)

    assert [op.id for op in setting.unsettled.end(only=frozenset({2, 9}))] == [2]
    assert setting.holders._by_message == {}


def test_a_message_that_was_removed_is_held_no_more():
    setting = Setting()
    setting.keep(1, 2)

    setting.holders.remove(2)
    setting.holders.remove(3)

    assert (setting.unsettled.count(), setting.told) == (1, 1)


async def test_without_a_doubt_a_storage_of_its_own_is_never_looked_at():
    setting = Setting()
    setting.keep(1, seconds=100)
    setting.clock.advance(60)
    await setting.unsettled.look()
    assert setting.storage.queries == []

    setting.storage.messages.clear()
    setting.holders.doubt("q")
    setting.holders.doubt("other")
    assert setting.told == 1
    await setting.unsettled.look()
    await setting.unsettled.look()

    assert (setting.unsettled.count(), len(setting.storage.queries)) == (0, 1)


async def test_a_storage_that_others_share_is_looked_at_every_five_seconds():
    setting = Setting(shared=True)
    await setting.unsettled.look()
    setting.keep(*range(1, 7), seconds=30)
    messages = setting.storage.messages
    assert setting.unsettled.due == setting.in_seconds(5)
    setting.clock.advance(5)
    del messages[1]
    messages[2].state = "pending"
    messages[3].queue = "dead"
    messages[4].visible_at = setting.in_seconds(90)

    await setting.unsettled.look()

    assert set(setting.unsettled._held) == {4, 5, 6}
    assert setting.unsettled.due == setting.in_seconds(5)
    setting.clock.advance(30)
    assert set(setting.unsettled._held) >= {4}
    assert setting.unsettled.count() == 1


async def test_many_are_looked_at_page_by_page():
    setting = Setting(shared=True, size=2)
    setting.keep(1, 2, 3, 4, 5)
    setting.clock.advance(5)
    for id in (2, 5):
        setting.storage.messages[id].state = "processed"

    await setting.unsettled.look()
    assert set(setting.unsettled._held) == {1, 3, 4, 5}
    assert setting.unsettled.due == setting.clock.now()
    await setting.unsettled.look()
    await setting.unsettled.look()

    assert set(setting.unsettled._held) == {1, 3, 4}
    assert [query.after for query in setting.storage.queries] == [0, 2, 4]
