"""The providers around a transport: they do as they are told, and remember what they were asked."""

import asyncio

import pytest

from broker import Credentials, Identity, InvalidToken, QueueSpec, Spending, Storage
from broker.testing.transport.doubles import OPERATIONS, Doubles
from broker.testing.transport.stage import ADMIN

ALICE = Identity(subject="alice")
BEARER = Credentials(scheme="bearer", token="t", peer="203.0.113.7")


async def test_the_authenticator_knows_the_tokens_that_it_was_told():
    door = Doubles().authenticator
    door.subjects["t"] = "alice"

    assert await door.authenticate(BEARER) == Identity(subject="alice", peer="203.0.113.7")
    assert await door.authenticate(Credentials(scheme="basic", token="t")) is None
    with pytest.raises(InvalidToken):
        await door.authenticate(Credentials(scheme="bearer", token="another"))
    assert [asked.token for asked in door.asked] == ["t", "t", "another"]


@pytest.mark.parametrize(
    ("granted", "action", "queue", "permitted", "some"),
    [
        (("read", "q"), "read", "q", True, True),
        (("read", "q"), "read", "p", False, True),
        (("read", "q"), "consume", "q", False, False),
        (("read", None), "read", "p", True, True),
        (("admin", None), "admin", None, True, True),
    ],
)
def test_the_authorizer_permits_what_was_granted(granted, action, queue, permitted, some):
    warden = Doubles().authorizer
    warden.granted["alice"] = {granted}

    assert warden.permits(ALICE, action, queue) is permitted
    assert warden.permits_some(ALICE, action) is some
    assert warden.permits(ADMIN, action, queue)
    assert not warden.permits(Identity(subject="bob"), action, queue)


async def test_the_limiter_lets_all_pass_until_it_is_spent():
    limiter = Doubles().limiter
    spending = Spending(activity="publish", peer="203.0.113.7")

    assert (await limiter.spend([spending])).allowed
    limiter.is_spent = True
    assert not (await limiter.spend([spending])).allowed
    assert limiter.asked == [spending, spending]


async def test_the_storage_answers_nobody_while_it_is_held():
    storage = Doubles().storage
    await storage.open()
    storage.released.clear()

    putting = asyncio.ensure_future(storage.put_queue(QueueSpec("q"), expect=None, now=1))
    await storage.was_asked.wait()
    assert not putting.done()
    storage.released.set()

    assert (await putting).name == "q"
    assert storage.asked == ["put_queue"]


def test_the_storage_watches_every_operation_but_upkeep():
    abstract = {*Storage.__abstractmethods__, "browse_each"}
    assert {*OPERATIONS} == abstract - {"maintain"}


@pytest.mark.parametrize("name", ["storage", "authenticator", "authorizer", "limiter"])
async def test_each_fails_as_it_is_told(name):
    doubles = Doubles()
    double = getattr(doubles, name)
    double.fault = RuntimeError("told to")
    ask = {
        "storage": lambda: double.drop_queue("q"),
        "authenticator": lambda: double.authenticate(BEARER),
        "authorizer": lambda: asyncio.to_thread(double.permits, ALICE, "read", "q"),
        "limiter": lambda: double.spend([]),
    }[name]

    with pytest.raises(RuntimeError, match="told to"):
        await ask()


async def test_what_was_asked_can_be_forgotten():
    doubles = Doubles()
    await doubles.storage.open()
    await doubles.storage.drop_queue("q")
    doubles.authorizer.permits(ALICE, "read", "q")

    doubles.forget()

    assert doubles.storage.asked == doubles.authorizer.asked == []
    assert not doubles.storage.was_asked.is_set()
