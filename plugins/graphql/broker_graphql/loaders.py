"""Loaders: what many resolvers of one execution ask for, asked for at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from broker import BrokerError

K = TypeVar("K")
V = TypeVar("V")

QUIET_TURNS = 2
"""After so many turns of the loop that bring no other question, all are asked. The objects of a
list are completed side by side, so what the same field of each asks comes in one turn; that of a
branch which is nested a level deeper comes a turn later."""


class Loader(Generic[K, V]):
    """Answers each question by itself, and asks all that come together by one call.

    `load` answers as many as it is asked, in order; an error is the answer to one of them. What it
    raises, all get.
    """

    def __init__(self, load: Callable[[Sequence[K]], Awaitable[Sequence[V | BrokerError]]]) -> None:
        self._load = load
        self._batch: _Batch[K, V] | None = None

    async def load(self, key: K) -> V:
        """Return the answer to one question, or raise it."""
        if self._batch is None or not self._batch.is_open:
            self._batch = _Batch(self._load)
        return await self._batch.answer(key)


class _Batch(Generic[K, V]):
    """Questions that are asked together, by a task that ends when nobody waits for it any more."""

    def __init__(self, load: Callable[[Sequence[K]], Awaitable[Sequence[V | BrokerError]]]) -> None:
        self.is_open = True
        self._load = load
        self._keys: list[K] = []
        self._waiting = 0
        self._task = asyncio.create_task(self._run())

    async def answer(self, key: K) -> V:
        place = len(self._keys)
        self._keys.append(key)
        self._waiting += 1
        try:
            # Who is cancelled does not take the others along.
            answers = await asyncio.shield(self._task)
        finally:
            self._waiting -= 1
            if not self._waiting:
                self.is_open = False
                self._task.cancel()
        answer = answers[place]
        if isinstance(answer, BrokerError):
            raise answer
        return answer

    async def _run(self) -> Sequence[V | BrokerError]:
        quiet = 0
        while quiet < QUIET_TURNS:
            known = len(self._keys)
            await asyncio.sleep(0)
            quiet = quiet + 1 if len(self._keys) == known else 0
        self.is_open = False
        return await self._load(self._keys)
