"""What is wrong with a URL, as the answers from there tell."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from typing import Any

from redis import exceptions
from redis.asyncio.sentinel import MasterNotFoundError

from broker_ratelimit.redis_url import RedisUrl

SECONDS = 2.0
"""How long each further question may take: only a start waits for it."""

NO_REDIS = "answers, but not as Redis or Valkey does"
NO_TLS = "does not speak TLS: write redis://"

MISTAKES = (
    (exceptions.AuthenticationError, "", "refuses the user name or the password"),
    (exceptions.NoPermissionError, "", "does not permit this user to count"),
    (exceptions.ResponseError, "ACL failure", "does not permit this user to count"),
    (exceptions.InvalidResponse, r"\x15", "speaks TLS: write rediss://"),
    (exceptions.InvalidResponse, "", NO_REDIS),
    (exceptions.MovedError, "", "is a node of a cluster: write redis+cluster://"),
    (exceptions.RedisClusterException, "mode is not enabled", "is no cluster: write redis://"),
    (exceptions.ResponseError, "unknown command 'SENTINEL'", "is no sentinel: write redis://"),
    (exceptions.ResponseError, "unknown command 'EVALSHA'", "runs no scripts"),
    (exceptions.ResponseError, "DB index", "has no such database"),
    (ssl.SSLError, "WRONG_VERSION_NUMBER", NO_TLS),
    (ssl.SSLCertVerificationError, "", "shows a certificate that is not trusted"),
)
"""Kinds of errors, what their text says, and what is wrong then, with the remedy."""


async def mistake(error: BaseException, client: Any, url: RedisUrl) -> str | None:
    """Return what is wrong with the URL of a client that raised this, or from whose error this was
    raised; None for what may pass by itself."""
    for cause in _causes(error):
        if isinstance(cause, MasterNotFoundError):
            return await _of_sentinels(client.connection_pool)
        problem = _of_answer(cause)
        if problem is not None:
            return problem
    return await _of_silence(url)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _of_answer(error: BaseException) -> str | None:
    for kind, words, problem in MISTAKES:
        if isinstance(error, kind) and words in str(error):
            return f"{problem} ({error})"
    return None


async def _of_sentinels(pool: Any) -> str | None:
    """Tell a service that no sentinel knows from one whose server is away."""
    for sentinel in pool.sentinel_manager.sentinels:
        try:
            async with asyncio.timeout(SECONDS):
                services = await sentinel.sentinel_masters()
        except TimeoutError:
            continue
        except exceptions.RedisError as error:
            problem = _of_answer(error)
            if problem is not None:
                return problem
        else:
            if pool.service_name in services:
                return None
            known = ", ".join(sorted(services)) or "none"
            return f'knows no service "{pool.service_name}"; known: {known}'
    return None


async def _of_silence(url: RedisUrl) -> str | None:
    """Ask in words that HTTP servers take for a whole request and Redis for one, both without TLS:
    otherwise neither answers before they come."""
    if not url.hosts:
        return None
    try:
        async with asyncio.timeout(SECONDS):
            reader, writer = await asyncio.open_connection(*url.hosts[0])
            try:
                writer.write(b"PING\r\n\r\n")
                answer = await reader.read(1)
            finally:
                writer.close()
    except OSError:
        return None
    if answer in (b"+", b"-"):
        return NO_TLS if url.tls else None
    return NO_REDIS if answer else None
