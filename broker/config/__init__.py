"""The config of a broker: reading, validating and explaining it."""

from broker.config.binding import Problem, bind
from broker.config.settings import (
    DEV_CERTIFICATE,
    DEV_KEY,
    BrokerConfig,
    Config,
    RefusedConfig,
    ServerConfig,
    TlsConfig,
    make_config,
    read_config,
    refusal,
)

__all__ = [
    "DEV_CERTIFICATE",
    "DEV_KEY",
    "BrokerConfig",
    "Config",
    "Problem",
    "RefusedConfig",
    "ServerConfig",
    "TlsConfig",
    "bind",
    "make_config",
    "read_config",
    "refusal",
]
