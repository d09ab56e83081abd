"""Fetching the keys of an issuer: over TLS, bounded in time and size, from one place only."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from broker import Clock

from broker_auth_jwt.jwks import JwksError

TIMEOUT_SECONDS = 5
MAX_JWKS_BYTES = 1_048_576


def check_jwks_url(text: str) -> str:
    """Return a URL that keys may come from; raises ValueError for any other.

    Who can change the keys on their way decides who is let in. So: `https`, unless the host is
    this machine.
    """
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as error:
        raise ValueError(f"expected a URL: {error}") from error
    if not url.host or url.userinfo or url.fragment:
        raise ValueError("expected a URL with a host, without credentials and without a fragment")
    if url.scheme != "https" and not (url.scheme == "http" and _is_loopback(url.host)):
        raise ValueError("expected https://…; http:// only for localhost")
    return text


class JwksUrl:
    """Where an issuer publishes its keys."""

    def __init__(self, text: str, *, clock: Clock) -> None:
        self._url = httpx.URL(text)
        self._clock = clock
        self._client: httpx.AsyncClient | None = None

    def open(self) -> None:
        """Get ready to fetch."""
        self._client = httpx.AsyncClient(
            timeout=None,  # noqa: S113  # it would be for each step; `fetch` limits the whole
            follow_redirects=False,
            # Certificates are always checked as the environment says (SSL_CERT_FILE), but no
            # proxy of it is asked about this machine.
            verify=httpx.create_ssl_context(),
            trust_env=not _is_loopback(self._url.host),
            # Not compressed: few bytes on the wire could be many in memory.
            headers={"accept": "application/json", "accept-encoding": "identity"},
        )

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()

    async def fetch(self) -> bytes:
        """Return what is published; raises JwksError, after 5 seconds at the latest."""
        try:
            async with self._limit():
                return await self._download()
        except TimeoutError as error:
            raise JwksError(f"no whole answer within {TIMEOUT_SECONDS} s") from error
        except httpx.HTTPError as error:
            raise JwksError(f"{type(error).__name__} {error}".rstrip()) from error

    @asynccontextmanager
    async def _limit(self) -> AsyncIterator[None]:
        """Raise TimeoutError when the time is over by the broker's clock."""
        async with asyncio.timeout(None) as limit:
            end = self._clock.now() + TIMEOUT_SECONDS * 1000
            timer = self._clock.call_at(end, lambda: limit.reschedule(0))
            try:
                yield
            finally:
                timer.cancel()

    async def _download(self) -> bytes:
        assert self._client is not None
        body = bytearray()
        async with self._client.stream("GET", self._url) as response:
            if response.status_code != httpx.codes.OK:
                raise JwksError(f"the answer was {response.status_code}")
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > MAX_JWKS_BYTES:
                    raise JwksError(f"more than {MAX_JWKS_BYTES} bytes")
        return bytes(body)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
