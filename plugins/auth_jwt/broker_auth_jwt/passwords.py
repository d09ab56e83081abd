"""Hashing passwords with Argon2id: slow on purpose, so in threads, few at a time."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TypeVar

import msgspec
from broker import Closed, FieldError, Invalid, Unavailable
from pwdlib import PasswordHash

T = TypeVar("T")

SHORTEST_BYTES = 8
LONGEST_BYTES = 1024
MAX_WAITING = 100
"""How many may wait for a thread: more than can be served before they lose patience."""

NOBODY = "$argon2id$v=19$m=65536,t=3,p=4$" + "A" * 22 + "$" + "A" * 43
"""What an unknown user's password is compared with, at the cost of a known one's; none matches."""

_NICENESS = 19
_EXAMPLES = {
    "password",
    "password1",
    "password123",
    "passw0rd",
    "p@ssw0rd",
    "changeme",
    "change_me",
    "change-me",
    "changeit",
    "adminadmin",
    "admin123",
    "administrator",
    "letmein1",
    "iloveyou",
    "12345678",
    "123456789",
    "1234567890",
    "11111111",
    "qwertyuiop",
    "test1234",
    "secret123",
}


class Verdict(msgspec.Struct, frozen=True):
    """Whether a password is right, which is its truth value, and its new hash if one is due."""

    is_right: bool
    new_hash: str | None = None

    def __bool__(self) -> bool:
        return self.is_right

    def __repr__(self) -> str:
        return f"Verdict({self.is_right})"


def check_password(text: str) -> None:
    """Raise ValueError, which says why, for a password that nobody should have."""
    size = len(text.encode("utf-8", "surrogatepass"))
    if size < SHORTEST_BYTES:
        raise ValueError(f"the password is shorter than {SHORTEST_BYTES} bytes")
    if size > LONGEST_BYTES:
        raise ValueError(f"the password is longer than {LONGEST_BYTES} bytes")
    if text.casefold() in _EXAMPLES:
        raise ValueError("the password is one that everybody tries first")


def hash_password(password: str) -> str:
    """Return a hash to keep, in this thread: for a process with nothing else to do meanwhile.

    Raises Invalid.
    """
    return PasswordHash.recommended().hash(_encoded(password))


class Passwords:
    """Hashes at most as many passwords at once as there are cores, behind all other work."""

    def __init__(self, hasher: PasswordHash | None = None) -> None:
        self._hasher = hasher or PasswordHash.recommended()
        self._threads: ThreadPoolExecutor | None = None
        self._cores = os.cpu_count() or 1
        self._begun = 0
        self._is_closing = False

    async def open(self) -> None:
        """Be ready; threads are made when they are needed."""
        self._is_closing = False
        self._threads = ThreadPoolExecutor(
            self._cores, thread_name_prefix="passwords", initializer=_step_back
        )

    async def close(self) -> None:
        """Finish what is being hashed, refuse what waits, end the threads."""
        threads, self._threads, self._is_closing = self._threads, None, True
        if threads is not None:
            await asyncio.to_thread(threads.shutdown)

    async def hash(self, password: str) -> str:
        """Return a hash to keep. Raises Invalid, Unavailable."""
        return await self._run(partial(self._hasher.hash, _encoded(password)))

    async def verify(self, password: str, password_hash: str | None) -> Verdict:
        """Compare a password with a hash, or with none at the same cost: for an unknown user.

        Raises Invalid for one that is too long for any user, and Unavailable.
        """
        return await self._run(partial(self._verify, _encoded(password), password_hash))

    def _verify(self, password: bytes, password_hash: str | None) -> Verdict:
        is_right, new_hash = self._hasher.verify_and_update(password, password_hash or NOBODY)
        if password_hash is None:
            return Verdict(False)
        return Verdict(is_right, new_hash)

    async def _run(self, work: Callable[[], T]) -> T:
        if self._threads is None:
            raise Closed("passwords are not checked now")
        if self._begun >= self._cores + MAX_WAITING:
            raise Unavailable("too many passwords are being checked; try again later")
        self._begun += 1
        try:
            loop = asyncio.get_running_loop()
            # Whoever is cancelled while he waits gives his place to the next.
            return await loop.run_in_executor(self._threads, self._work, work)
        finally:
            self._begun -= 1

    def _work(self, work: Callable[[], T]) -> T:
        if self._is_closing:
            raise Closed("passwords are not checked now")
        return work()


def _encoded(password: str) -> bytes:
    encoded = password.encode("utf-8", "surrogatepass")
    if len(encoded) > LONGEST_BYTES:
        raise Invalid([FieldError("password", f"is longer than {LONGEST_BYTES} bytes")])
    return encoded


def _step_back() -> None:
    """Let publishes go first: hashing must slow down nobody but who logs in."""
    if sys.platform == "linux":  # elsewhere the id of a thread is none of a process
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
