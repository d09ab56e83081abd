"""The plugin `ratelimit`: how much clients may ask in a time, counted here or in Redis."""

from broker import PluginContext, RateLimiter, hookimpl
from pydantic import BaseModel

from broker_ratelimit.config import RateLimitConfig


@hookimpl
def config_schema() -> type[BaseModel]:
    """Return what `[plugins.ratelimit]` may hold."""
    return RateLimitConfig


@hookimpl
def provide_rate_limiter(plugin: PluginContext) -> RateLimiter:
    """Return what counts."""
    from broker_ratelimit.assembly import make_counters
    from broker_ratelimit.limiter import Limiter

    counters = make_counters(plugin.config, clock=plugin.clock, logger=plugin.logger)
    return Limiter(plugin.config, counters=counters)
