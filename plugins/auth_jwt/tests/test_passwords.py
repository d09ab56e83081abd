"""Hashing passwords: right or wrong, few at a time, at the same cost for nobody."""

import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import argon2
import pytest
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from broker import Closed, Invalid, Unavailable
from broker_auth_jwt.passwords import (
    MAX_WAITING,
    NOBODY,
    Passwords,
    Verdict,
    check_password,
    hash_password,
)

CHEAP = PasswordHash([Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1)])
CORES = os.cpu_count() or 1


class Gate:
    """A hasher that lets nobody through before it is opened, and counts who is inside."""

    def __init__(self) -> None:
        self.is_open = threading.Event()
        self.entered = threading.Semaphore(0)
        self.done: list[object] = []
        self.nice: list[int] = []
        self.inside = 0
        self.most = 0
        self._lock = threading.Lock()

    def verify_and_update(self, password: bytes, password_hash: str) -> tuple[bool, None]:
        with self._lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        self.entered.release()
        assert self.is_open.wait(60)
        with self._lock:
            self.inside -= 1
            self.done.append(password)
            if sys.platform == "linux":
                self.nice.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        return True, None

    def hash(self, password: bytes) -> str:
        raise AssertionError

    async def fill(self) -> None:
        """Wait until all cores are busy."""
        for _ in range(CORES):
            await asyncio.to_thread(self.entered.acquire)


@asynccontextmanager
async def opened(hasher: object = CHEAP) -> AsyncIterator[Passwords]:
    passwords = Passwords(hasher)
    await passwords.open()
    try:
        yield passwords
    finally:
        await passwords.close()


async def begin(passwords: Passwords, text: str) -> asyncio.Task[Verdict]:
    task = asyncio.ensure_future(passwords.verify(text, "hash"))
    await asyncio.sleep(0)
    return task


async def test_a_password_matches_its_hash_and_no_other() -> None:
    async with opened() as passwords:
        password_hash = await passwords.hash("correct horse")
        assert password_hash.startswith("$argon2id$")
        assert await passwords.verify("correct horse", password_hash) == Verdict(True)
        assert await passwords.verify("Correct horse", password_hash) == Verdict(False)
        assert await passwords.verify("", password_hash) == Verdict(False)


async def test_a_hash_that_a_command_made_is_like_any_other() -> None:
    password_hash = hash_password("correct horse")
    assert argon2.extract_parameters(password_hash) == argon2.extract_parameters(NOBODY)
    async with opened() as passwords:
        assert await passwords.verify("correct horse", password_hash)


def test_a_verdict_is_as_true_as_the_password_is_right() -> None:
    assert Verdict(True)
    assert not Verdict(False)
    assert repr(Verdict(True, "$argon2id$")) == "Verdict(True)"


async def test_the_same_password_has_another_hash_each_time() -> None:
    async with opened() as passwords:
        assert await passwords.hash("correct horse") != await passwords.hash("correct horse")


async def test_nobody_has_no_password() -> None:
    async with opened() as passwords:
        for text in ("correct horse", NOBODY):
            assert await passwords.verify(text, None) == Verdict(False)


async def test_nobody_costs_what_a_user_costs() -> None:
    async with opened(PasswordHash.recommended()) as passwords:
        real = argon2.extract_parameters(await passwords.hash("correct horse"))
        assert argon2.extract_parameters(NOBODY) == real
        assert (real.type, real.memory_cost, real.time_cost) == (argon2.Type.ID, 65536, 3)
    # Not refused unread, which would be quick.
    with pytest.raises(argon2.exceptions.VerifyMismatchError):
        argon2.PasswordHasher().verify(NOBODY, "correct horse")


async def test_nobody_is_compared_as_a_user_is() -> None:
    compared = []

    class Spy:
        def verify_and_update(self, password: bytes, password_hash: str) -> tuple[bool, str]:
            compared.append((password, password_hash))
            return True, "new"

    async with opened(Spy()) as passwords:
        assert await passwords.verify("correct horse", None) == Verdict(False)
        assert await passwords.verify("correct horse", "$hash") == Verdict(True, "new")
    assert compared == [(b"correct horse", NOBODY), (b"correct horse", "$hash")]


async def test_a_weak_hash_is_replaced_when_the_password_is_right() -> None:
    weak = CHEAP.hash("correct horse")
    stronger = PasswordHash([Argon2Hasher(time_cost=2, memory_cost=16, parallelism=1)])
    async with opened(stronger) as passwords:
        verdict = await passwords.verify("correct horse", weak)
        assert verdict.is_right
        assert argon2.extract_parameters(verdict.new_hash).time_cost == 2
        assert await passwords.verify("correct horse", verdict.new_hash) == Verdict(True)
        assert await passwords.verify("wrong horse", weak) == Verdict(False)


@pytest.mark.parametrize("size", [1025, 100_000])
async def test_a_password_that_is_too_long_is_refused_unhashed(size: int) -> None:
    async with opened(Gate()) as passwords:
        for ask in (passwords.hash("x" * size), passwords.verify("x" * size, None)):
            with pytest.raises(Invalid) as refused:
                await ask
            assert str(refused.value) == "password: is longer than 1024 bytes"


@pytest.mark.parametrize("text", ["x" * 1024, "ü" * 512, "a\0b\0cdefgh", "\ud800 is no text"])
async def test_every_other_text_can_be_a_password(text: str) -> None:
    async with opened() as passwords:
        password_hash = await passwords.hash(text)
        assert await passwords.verify(text, password_hash)
        assert not await passwords.verify(text[:-1] + "?", password_hash)


async def test_no_more_are_hashed_at_once_than_there_are_cores() -> None:
    gate = Gate()
    async with opened(gate) as passwords:
        tasks = [await begin(passwords, str(number)) for number in range(CORES + 20)]
        await gate.fill()
        assert gate.inside == CORES
        gate.is_open.set()
        assert all(await asyncio.gather(*tasks))
        assert (gate.most, len(gate.done)) == (CORES, CORES + 20)


@pytest.mark.skipif(sys.platform != "linux", reason="only there threads have a priority")
async def test_hashing_steps_back_behind_everything_else() -> None:
    gate = Gate()
    gate.is_open.set()
    async with opened(gate) as passwords:
        await passwords.verify("correct horse", None)
    assert gate.nice == [19]
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) != 19


async def test_more_than_a_hundred_do_not_wait() -> None:
    gate = Gate()
    async with opened(gate) as passwords:
        tasks = [await begin(passwords, str(number)) for number in range(CORES + MAX_WAITING)]
        with pytest.raises(Unavailable) as refused:
            await passwords.verify("one more", None)
        assert str(refused.value) == "too many passwords are being checked; try again later"
        gate.is_open.set()
        assert all(await asyncio.gather(*tasks))
        assert await passwords.verify("one more", "hash")


async def test_whoever_goes_away_while_he_waits_costs_nothing() -> None:
    gate = Gate()
    async with opened(gate) as passwords:
        tasks = [await begin(passwords, "stays") for _ in range(CORES)]
        await gate.fill()
        gone = [await begin(passwords, "goes") for _ in range(MAX_WAITING)]
        for task in gone:
            task.cancel()
        await asyncio.gather(*gone, return_exceptions=True)
        tasks.append(await begin(passwords, "comes"))  # there is a place again
        gate.is_open.set()
        assert all(await asyncio.gather(*tasks))
    assert sorted(gate.done) == [b"comes"] + [b"stays"] * CORES


async def test_closing_finishes_what_is_hashed_and_refuses_what_waits() -> None:
    gate = Gate()
    passwords = Passwords(gate)
    await passwords.open()
    begun = [await begin(passwords, "begun") for _ in range(CORES)]
    await gate.fill()
    waiting = await begin(passwords, "waiting")
    closing = asyncio.ensure_future(passwords.close())
    await asyncio.sleep(0)
    with pytest.raises(Closed):
        await passwords.verify("late", None)
    gate.is_open.set()
    await closing
    assert all(await asyncio.gather(*begun))
    with pytest.raises(Closed):
        await waiting
    assert [t.name for t in threading.enumerate() if t.name.startswith("passwords")] == []
    await passwords.close()


async def test_nothing_is_hashed_before_it_is_opened() -> None:
    passwords = Passwords(CHEAP)
    with pytest.raises(Closed):
        await passwords.hash("correct horse")
    await passwords.close()
    await passwords.open()
    assert await passwords.hash("correct horse")
    await passwords.close()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "the password is shorter than 8 bytes"),
        ("x" * 7, "the password is shorter than 8 bytes"),
        ("x" * 1025, "the password is longer than 1024 bytes"),
        ("ü" * 513, "the password is longer than 1024 bytes"),
        ("changeme", "the password is one that everybody tries first"),
        ("ChangeMe", "the password is one that everybody tries first"),
        ("password", "the password is one that everybody tries first"),
        ("administrator", "the password is one that everybody tries first"),
        ("admin", "the password is shorter than 8 bytes"),
    ],
)
def test_a_password_that_nobody_should_have_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ValueError) as refused:
        check_password(text)
    assert str(refused.value) == problem


@pytest.mark.parametrize("text", ["correct horse", "x" * 8, "ü" * 4, "x" * 1024, "ü" * 512])
def test_any_other_password_is_taken(text: str) -> None:
    check_password(text)
