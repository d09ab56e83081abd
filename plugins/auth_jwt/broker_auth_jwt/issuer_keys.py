"""The keys of one issuer: kept, fetched anew before they are old, asked for when one is unknown."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextvars import Context

from broker import Clock, InvalidToken, Timer, Unavailable

from broker_auth_jwt.issuer_config import IssuerConfig
from broker_auth_jwt.jwks import Jwk, JwksError, PublishedKey, read_keys
from broker_auth_jwt.jwks_url import JwksUrl


class IssuerKeys:
    """What an issuer published last.

    One fetch runs at a time. Tokens cause none before the cooldown after the last one is over,
    and all of them wait for the same one; it belongs to this object, so nobody who goes away
    cancels it.
    """

    def __init__(self, config: IssuerConfig, *, clock: Clock, logger: logging.Logger) -> None:
        self._config = config
        self._url = JwksUrl(config.jwks_url, clock=clock)
        self._clock = clock
        self._logger = logger
        self._keys: Mapping[str, PublishedKey] = {}
        self._keys_end = 0
        self._cooldown_end = 0
        self._fetch: asyncio.Task[None] | None = None
        self._timer: Timer | None = None
        self._is_open = False

    def open(self) -> None:
        """Begin the first fetch. Nobody waits for it: no issuer keeps a broker from starting."""
        self._url.open()
        self._is_open = True
        self._begin_fetch()

    async def close(self) -> None:
        """End the fetch that runs; for those who wait for it there are no keys."""
        self._is_open = False
        if self._timer is not None:
            self._timer.cancel()
        if self._fetch is not None:
            self._fetch.cancel()
            await asyncio.wait([self._fetch])
        await self._url.close()

    async def find(self, kid: str) -> PublishedKey:
        """Return a key; one that is unknown is waited for if the issuer may be asked again.

        Raises InvalidToken if the issuer has no such key, Unavailable if no keys are known.
        """
        if kid not in (self._current or ()):
            await self._ask()
        keys = self._current
        if keys is None:
            raise self._unavailable()
        if kid not in keys:
            raise InvalidToken
        return keys[kid]

    def has(self, jwk: Jwk) -> bool:
        """Tell whether a key is, as far as is known, still published."""
        key = (self._current or {}).get(jwk.kid)
        return key is not None and key.jwk == jwk

    @property
    def _current(self) -> Mapping[str, PublishedKey] | None:
        """What may be used now; None before the first fetch, and when the last one is too old."""
        return self._keys if self._clock.now() < self._keys_end else None

    async def _ask(self) -> None:
        if self._fetch is None and self._is_open and self._clock.now() >= self._cooldown_end:
            self._begin_fetch()
        if self._fetch is not None:
            await asyncio.wait([self._fetch])

    def _begin_fetch(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        # It is nobody's request, and the one that is the first to want a key is not told of later.
        self._fetch = asyncio.get_running_loop().create_task(self._refresh(), context=Context())

    async def _refresh(self) -> None:
        config = self._config
        next_seconds = config.cooldown_seconds
        try:
            keys = read_keys(await self._url.fetch(), algorithms=config.algorithms)
            if not keys:
                self._warn("no key there can verify %s", " ".join(config.algorithms))
            self._keys = keys
            self._keys_end = self._in(config.cache_seconds + config.stale_seconds)
            next_seconds = config.cache_seconds * 4 // 5
        except JwksError as error:
            self._warn("%s", error)
        finally:
            self._fetch = None
            self._cooldown_end = self._in(config.cooldown_seconds)
            if self._is_open:
                self._timer = self._clock.call_at(self._in(next_seconds), self._begin_fetch)

    def _in(self, seconds: int) -> int:
        return self._clock.now() + seconds * 1000

    def _warn(self, problem: str, *args: object) -> None:
        text = f'issuer "%s": cannot use the keys of %s: {problem}'
        self._logger.warning(text, self._config.name, self._config.jwks_url, *args)

    def _unavailable(self) -> Unavailable:
        error = Unavailable("the keys that verify this token cannot be fetched now")
        error.retry_after = max(1.0, (self._cooldown_end - self._clock.now()) / 1000)
        return error
