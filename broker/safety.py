"""What a config may not say, because everybody on the network could do everything then."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from broker.errors import ConfigError

if TYPE_CHECKING:
    from broker.config import Config


def refuse_open_door(config: Config, *, insecure: bool) -> None:
    """Raise ConfigError if everybody on the network could do everything."""
    if config.broker.anonymous and not insecure and not is_loopback(config.server.host):
        raise ConfigError(
            f'broker.anonymous: true would let everybody who reaches "{config.server.host}" do '
            "everything; bind a loopback address (server.host), enable a plugin that "
            "authenticates, or start with --insecure"
        )


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach what listens there."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
