"""The contract of rate limiters, kept by such as count otherwise than the plugin does."""

from contracts.limiters import AddressesOnly, Bucket, FixedWindow

from broker.testing import RateLimiterContract


class TestFixedWindow(RateLimiterContract):
    capabilities = RateLimiterContract.capabilities | {"queues"}

    def make_rate_limiter(self, tmp_path, clock, limits):
        return FixedWindow(limits, clock)


class TestAddressesOnly(RateLimiterContract):
    capabilities = frozenset({"clock"})

    def make_rate_limiter(self, tmp_path, clock, limits):
        return AddressesOnly(limits, clock)


class TestBucket(RateLimiterContract):
    def make_rate_limiter(self, tmp_path, clock, limits):
        [limit] = limits
        return Bucket(limit, clock)


class TestShared(RateLimiterContract):
    """As two processes share the numbers of a server."""

    capabilities = TestFixedWindow.capabilities | {"shared"}

    def make_rate_limiter(self, tmp_path, clock, limits):
        limiter = FixedWindow(limits, clock)
        limiter.spent = self.__dict__.setdefault("spent", {})
        return limiter
