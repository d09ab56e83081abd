"""What is done from time to time while a broker runs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from broker_auth_jwt.parts import Parts

INTERVAL_MS = 60_000


@asynccontextmanager
async def kept_up(parts: Parts) -> AsyncIterator[None]:
    """Every minute, and at the end, note when service tokens were used; remove what is over."""
    keeping = asyncio.ensure_future(_keep_up(parts))
    try:
        yield
    finally:
        keeping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await keeping
        await _try_once(parts)


async def _keep_up(parts: Parts) -> None:
    while True:
        await parts.clock.sleep_until(parts.clock.now() + INTERVAL_MS)
        await _try_once(parts)


async def _try_once(parts: Parts) -> None:
    try:
        await parts.bearer_tokens.note_uses()
        await parts.accounts.clean(parts.clock.now())
    # An isolation point: a database that is away for a while must not end the upkeep for good.
    except Exception:
        parts.logger.exception("the upkeep of users and tokens failed; it is tried again")
