"""The config of a broker: reading, validating and explaining it."""

from broker.config.binding import Problem, bind
from broker.config.log import LogConfig
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
from broker.config.traces import TracesConfig

__all__ = [
    "DEV_CERTIFICATE",
    "DEV_KEY",
    "BrokerConfig",
    "Config",
    "LogConfig",
    "Problem",
    "RefusedConfig",
    "ServerConfig",
    "TlsConfig",
    "TracesConfig",
    "bind",
    "make_config",
    "read_config",
    "refusal",
]
