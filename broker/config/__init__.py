"""The config of a broker: reading, validating and explaining it."""

from broker.config.binding import Problem, bind
from broker.config.settings import (
    BrokerConfig,
    Config,
    RefusedConfig,
    ServerConfig,
    make_config,
    read_config,
    refusal,
)

__all__ = [
    "BrokerConfig",
    "Config",
    "Problem",
    "RefusedConfig",
    "ServerConfig",
    "bind",
    "make_config",
    "read_config",
    "refusal",
]
