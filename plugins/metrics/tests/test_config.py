"""What `[plugins.metrics]` may hold."""

import pytest
from pydantic import ValidationError

from broker import ConfigError
from broker_metrics.config import Address, MetricsConfig

TOKEN = "0123456789abcdef"


@pytest.mark.parametrize(
    ("table", "address"),
    [
        ({}, Address("127.0.0.1", 9464)),
        ({"token": TOKEN}, None),
        ({"listen": "127.0.0.2:1"}, Address("127.0.0.2", 1)),
        ({"listen": "localhost:9100"}, Address("localhost", 9100)),
        ({"listen": "[::1]:9100"}, Address("::1", 9100)),
        ({"listen": "0.0.0.0:9100", "token": TOKEN}, Address("0.0.0.0", 9100)),
        ({"listen": "metrics.internal:9100", "token": TOKEN}, Address("metrics.internal", 9100)),
    ],
)
def test_there_is_a_listener_unless_there_is_only_a_token(table, address):
    assert MetricsConfig(**table).address == address


@pytest.mark.parametrize("listen", ["0.0.0.0:9100", "[::]:9100", "192.0.2.1:1", "example.org:1"])
def test_what_other_machines_reach_needs_a_token(listen):
    with pytest.raises(ValidationError, match="can be reached from other machines: set a token"):
        MetricsConfig(listen=listen)


@pytest.mark.parametrize(
    "listen", ["", "9464", ":9464", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:70000", "a:1/metrics"]
)
def test_an_address_is_a_host_and_a_port(listen):
    with pytest.raises(ValidationError, match="expected host:port, 127.0.0.1:9464 for example"):
        MetricsConfig(listen=listen)


def test_a_short_token_is_refused_and_not_told(broker_factory):
    with pytest.raises(ConfigError, match="at least 16") as refused:
        broker_factory(["metrics"], config={"plugins": {"metrics": {"token": "hunter2"}}})

    assert "hunter2" not in str(refused.value)
