"""Counting in Redis or Valkey, for all brokers that share it."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
from broker import ConfigError
from limits.storage import storage_from_string
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError

from broker_ratelimit.counters import Claim, Count, Counters, Window
from broker_ratelimit.patience import answer_within
from broker_ratelimit.redis_mistakes import mistake
from broker_ratelimit.redis_url import read_redis_url

TIMEOUT_SECONDS = 0.25
"""How long a take may need, with connecting."""

CLOSE_SECONDS = 0.25

MAX_TOGETHER = 200
"""How many requests one script takes for, so that others get their turn at the server."""

KEY_PREFIX = "{replika-broker}"
"""In braces: a cluster keeps all keys with the same braces on one node, so that one script may
take from several of them."""

TAKE = Path(__file__).with_name("take.lua").read_text()
TAKE_DIGEST = hashlib.sha1(TAKE.encode(), usedforsecurity=False).hexdigest()

TRIAL = Claim("trial", (Window(1_000_000_000, 1),), 1)
"""What is taken to learn whether anything can be."""


class _Question(msgspec.Struct, frozen=True, eq=False):
    """What somebody wants to take, and waits for."""

    claims: Sequence[Claim]
    answer: asyncio.Future[tuple[bool, list[Count]]]

    @property
    def windows(self) -> list[tuple[Claim, Window]]:
        return [(claim, window) for claim in self.claims for window in claim.windows]

    def read(self, numbers: Sequence[int], start: int) -> int:
        """Take the answer out of the script's, where it starts; return where it ends."""
        end = start + 4 * len(self.windows)
        if not self.answer.done():  # or nobody waits any more
            counts = [Count(*numbers[at + 1 : at + 4]) for at in range(start, end, 4)]
            self.answer.set_result((numbers[start] == 1, counts))
        return end

    def fail(self, error: OSError) -> None:
        """Take it that there is no answer."""
        if not self.answer.done():
            self.answer.set_exception(error)


class RedisCounters(Counters):
    """Counts by one script, which takes all or nothing, in one round trip.

    There is one at a time: what is to be taken meanwhile is asked for together by the next, so that
    a crowd costs less for each, and needs no more than one connection. The time is the server's,
    so the brokers' clocks may differ. What nobody takes from is forgotten after two windows.
    """

    def __init__(self, url: str) -> None:
        self._url = read_redis_url(url)
        self._client: Any = None
        self._sentinels: Sequence[Any] = ()
        self._questions: list[_Question] = []
        self._asking: asyncio.Task[None] | None = None

    @property
    def place(self) -> str:
        """Return where it counts, without user name and password."""
        return self._url.place

    async def open(self) -> None:
        """Connect; raises ConfigError for what never answers as a Redis does to this URL, OSError
        for what does not answer now."""
        self._connect()
        try:
            await self.try_again()
        except OSError as error:
            problem = await mistake(error, self._client, self._url)
            if problem is not None:
                raise ConfigError(f"plugins.ratelimit.url: {self.place} {problem}") from error
            raise

    async def close(self) -> None:
        """Close the connections."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait([self._asking])
        for question in self._questions:
            question.fail(ConnectionError("closed"))
        for client in (self._client, *self._sentinels):
            if client is not None:
                await _disconnect(client)
        self._client, self._sentinels = None, ()

    async def try_again(self) -> None:
        """Take something of no meaning by new connections; raises what `take` raises.

        Of the old ones, none is known to be alive; and whoever led a cluster may not do so any
        more.
        """
        await _disconnect(self._client)
        await self.take([TRIAL])

    async def take(self, claims: Sequence[Claim]) -> tuple[bool, list[Count]]:
        """Take all or nothing; raises OSError once Redis gave no answer for 0.25 s.

        What fails so, or is cancelled, may have been taken all the same.
        """
        question = _Question(claims, asyncio.get_running_loop().create_future())
        self._questions.append(question)
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask())
        return await question.answer

    async def _ask(self) -> None:
        while self._questions:
            asked, self._questions = self._questions[:MAX_TOGETHER], self._questions[MAX_TOGETHER:]
            try:
                async with _answer():
                    numbers = await self._run(asked)
            except OSError as error:
                # Who waits for the next question would get no answer, either.
                asked, self._questions = asked + self._questions, []
                for question in asked:
                    question.fail(error)
            except asyncio.CancelledError:
                for question in asked:
                    question.fail(ConnectionError("closed"))
                raise
            else:
                end = 0
                for question in asked:
                    end = question.read(numbers, end)

    async def _run(self, questions: Sequence[_Question]) -> list[int]:
        keys: list[str] = []
        numbers: list[int] = []
        for index, question in enumerate(questions):
            for claim, window in question.windows:
                keys.append(f"{KEY_PREFIX}:{claim.key}:{window.seconds}")
                numbers += (index, window.amount, window.milliseconds, claim.cost)
        arguments = (len(keys), *keys, *numbers)
        try:
            answer: list[int] = await self._client.execute_command(
                "EVALSHA", TAKE_DIGEST, *arguments
            )
        except NoScriptError:
            # The server is new, or forgot it; by this it learns it.
            answer = await self._client.execute_command("EVAL", TAKE, *arguments)
        return answer

    def _connect(self) -> None:
        """Make the client, which connects when it is used."""
        bounds: dict[str, Any] = {
            # All that is asked is bounded as a whole. A bound of the library's own, for each write,
            # costs an eighth of a take, and on Python 3.11 can lose the cancellation by ours.
            "socket_timeout": None,
            "socket_connect_timeout": None,
            "retry": Retry(NoBackoff(), 0),
        }
        options: dict[str, Any] = {**self._url.options, **bounds}
        if self._url.kind == "sentinel":
            options["sentinel_kwargs"] = dict(options)
        storage: Any = storage_from_string(self._url.uri, implementation="redispy", **options)
        self._client = storage.bridge.get_connection()
        sentinel = getattr(storage.bridge, "sentinel", None)
        self._sentinels = () if sentinel is None else sentinel.sentinels


async def _disconnect(client: Any) -> None:
    # A connection whose making was cancelled may never say that it is closed; and whatever it
    # raises, it is given up.
    with suppress(Exception):
        async with asyncio.timeout(CLOSE_SECONDS):
            await client.aclose()


@asynccontextmanager
async def _answer() -> AsyncIterator[None]:
    """Raise OSError when the block gets no answer in time, and for whatever the client library
    raises in it: all of that means that nobody knows what was done."""
    try:
        async with answer_within(TIMEOUT_SECONDS):
            yield
    except OSError:
        raise
    except Exception as error:
        # What follows the colon are the sentinels with all that is known of them.
        reason = str(error).partition(" : <")[0] or type(error).__name__
        raise ConnectionError(reason) from error
