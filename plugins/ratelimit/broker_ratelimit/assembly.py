"""From the config to what counts."""

from __future__ import annotations

import logging

from broker import Clock

from broker_ratelimit.config import RateLimitConfig
from broker_ratelimit.counters import Counters
from broker_ratelimit.memory import MemoryCounters
from broker_ratelimit.unavailable import LetPass, Refuse


def make_counters(config: RateLimitConfig, *, clock: Clock, logger: logging.Logger) -> Counters:
    """Return what counts: in memory, or in Redis as long as it is there."""
    if config.url is None:
        return MemoryCounters(clock)
    from broker_ratelimit.breaker import Breaker
    from broker_ratelimit.redis_counters import RedisCounters

    meanwhile, consequence = _meanwhile(config, clock)
    return Breaker(
        RedisCounters(config.url.get_secret_value()),
        meanwhile,
        consequence=consequence,
        clock=clock,
        logger=logger,
    )


def _meanwhile(config: RateLimitConfig, clock: Clock) -> tuple[Counters, str]:
    match config.when_unavailable:
        case "local":
            return MemoryCounters(clock), "until it does, this broker counts for itself"
        case "allow":
            return LetPass(), "until it does, nothing is limited"
        case "deny":
            return Refuse(), "until it does, every request that has a limit is answered 503"
