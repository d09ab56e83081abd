"""One connection to Redis, which answers in time or is given up."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from redis.asyncio.connection import Connection, SSLConnection, UnixDomainSocketConnection
from redis.exceptions import NoScriptError

from broker_sse.redis_url import RedisUrl

CONNECTIONS = {"tcp": Connection, "tls": SSLConnection, "unix": UnixDomainSocketConnection}

ANSWER_SECONDS = 1.0
"""How long an answer may take, and how long connecting."""

CLOSE_SECONDS = 0.25


class Script:
    """A Lua script of this package, which a server is sent once and then asked for by its name."""

    def __init__(self, name: str) -> None:
        self.text = Path(__file__).with_name(name).read_text()
        self.digest = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()


class RedisLink:
    """Asks one thing after the other.

    Whatever goes wrong is an OSError whose text says it, and nobody knows what was done then; all
    but an answer that is an error ends the connection.
    """

    def __init__(self, url: RedisUrl) -> None:
        self._url = url
        self._connection: Any = None

    async def open(self) -> None:
        """Connect anew, and log in."""
        await self.close()
        async with _answer(ANSWER_SECONDS):
            self._connection = CONNECTIONS[self._url.way](**self._url.options)
            await self._connection.connect()

    async def close(self) -> None:
        """Disconnect."""
        connection, self._connection = self._connection, None
        if connection is not None:
            # Whatever it raises, and if it never says that it is closed, it is given up.
            with suppress(Exception):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await connection.disconnect()

    async def ask(self, *command: str | bytes | int) -> Any:
        """Return the answer to one command."""
        [answer] = await self.ask_all([command])
        return answer

    async def ask_all(
        self, commands: Sequence[Sequence[str | bytes | int]], *, wait_seconds: float = 0
    ) -> list[Any]:
        """Return the answers to commands that are sent at once and may wait for so long."""
        async with _answer(wait_seconds + ANSWER_SECONDS):
            return await self._ask_all(commands)

    async def run(self, script: Script, keys: Sequence[str], *arguments: str | bytes | int) -> Any:
        """Return what a script does."""
        call = (len(keys), *keys, *arguments)
        async with _answer(ANSWER_SECONDS):
            try:
                [answer] = await self._ask_all([("EVALSHA", script.digest, *call)])
            except NoScriptError:
                # The server is new, or forgot it; by this it learns it.
                [answer] = await self._ask_all([("EVAL", script.text, *call)])
            return answer

    async def _ask_all(self, commands: Sequence[Sequence[str | bytes | int]]) -> list[Any]:
        connection = self._connection
        if connection is None:
            raise ConnectionError("not connected")
        await connection.send_packed_command(connection.pack_commands(commands), check_health=False)
        return [await connection.read_response() for _ in commands]


@asynccontextmanager
async def _answer(seconds: float) -> AsyncIterator[None]:
    """Raise OSError when the block gets no answer in time, and for whatever the client library
    raises in it.

    The bound is ours alone: one of the library's own, on Python 3.11, can lose a cancellation. And
    it comes in two parts, so that an answer which was there while the event loop was kept busy for
    longer than that is still read.
    """
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(None) as limit:
            timer = loop.call_later(
                seconds / 2, lambda: limit.reschedule(loop.time() + seconds / 2)
            )
            try:
                yield
            finally:
                timer.cancel()
    except TimeoutError as error:
        raise TimeoutError(f"no answer within {seconds:g} s") from error
    except OSError:
        raise
    except Exception as error:
        raise ConnectionError(f"{error}" or type(error).__name__) from error
