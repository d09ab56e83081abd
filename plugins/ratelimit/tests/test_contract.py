"""The contract of rate limiters, kept in memory and in a Valkey."""

import pytest

from broker.testing import RateLimiterContract, make_context
from broker_ratelimit import config_schema, provide_rate_limiter


def make(tmp_path, clock, limits, **options):
    """Return what the plugin provides for a config with these limits."""
    tables = {
        limit.name: {
            "rate": f"{limit.amount}/{limit.seconds}second",
            "cost": "messages",
            "queues": None if limit.queue is None else [limit.queue],
        }
        for limit in limits
    }
    config = config_schema()(limits={"login": False, **tables}, **options)
    return provide_rate_limiter(make_context(tmp_path, clock, name="ratelimit", config=config))


class TestInMemory(RateLimiterContract):
    contract = "1.0"
    capabilities = RateLimiterContract.capabilities | {"queues"}

    def make_rate_limiter(self, tmp_path, clock, limits):
        return make(tmp_path, clock, limits)


class TestInValkey(RateLimiterContract):
    contract = "1.0"
    # The time is the server's, so nothing comes back while a test runs.
    capabilities = RateLimiterContract.capabilities - {"clock"} | {"queues", "shared"}

    @pytest.fixture(autouse=True)
    def _valkey(self, valkey):
        self.valkey = valkey

    def make_rate_limiter(self, tmp_path, clock, limits):
        return make(tmp_path, clock, limits, url=self.valkey.url, when_unavailable="deny")
