"""The contract of observers, kept by what gives events their order."""

import pytest

from broker.testing import ObserverContract, make_context
from broker_sse import config_schema, provide_observer


def make(tmp_path, clock, **options):
    config = config_schema()(**options)
    return provide_observer(make_context(tmp_path, clock, name="sse", config=config))


class TestLocalLog(ObserverContract):
    contract = "1.0"

    def make_observer(self, tmp_path, clock):
        return make(tmp_path, clock)

    def count_kept(self, observer, tmp_path):
        return observer.hub.history.end


class TestRedisLog(ObserverContract):
    contract = "1.0"

    @pytest.fixture(autouse=True)
    def _valkey(self, valkey, monkeypatch):
        self.valkey = valkey
        monkeypatch.setattr("broker_sse.redis_log.CLOSE_SECONDS", 60)

    def make_observer(self, tmp_path, clock):
        return make(tmp_path, clock, redis_url=self.valkey.url)

    def count_kept(self, observer, tmp_path):
        return self.valkey.ask("XLEN", "{replika-broker}:events")
