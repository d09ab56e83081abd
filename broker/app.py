"""A broker as an ASGI application, or inside a program without HTTP."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from broker.assembly import Assembly, assemble
from broker.engine import Broker

if TYPE_CHECKING:
    from quart import Quart

logger = logging.getLogger("broker.app")


def create_app(config: str | Path | Mapping[str, Any] | None = None) -> Quart:
    """Return the ASGI application of the broker that the config describes.

    Serve it with any ASGI server; it opens at the server's startup and closes at its shutdown.
    The hot routes go round Quart: functions that you add to the app do not see their requests.

    A path is that of the config's file, None the one that `broker serve` would read; the
    environment has its say. Tables are what such a file could say, and then the environment has
    none. Raises ConfigError or PluginError, each of which names the remedy.
    """
    from broker.mounting import mount  # imports a web framework

    assembly = _assemble(config)
    return mount(assembly, lifespan=assembly.running)


@asynccontextmanager
async def open_broker(
    config: str | Path | Mapping[str, Any] | None = None,
) -> AsyncIterator[Broker]:
    """Run the broker that the config describes, as for `create_app`, without HTTP, inside this
    program; raises StartupError."""
    assembly = _assemble(config)
    async with assembly.running() as broker:
        yield broker


def _assemble(config: str | Path | Mapping[str, Any] | None) -> Assembly:
    from broker.config import make_config  # imports the config library
    from broker.loading import read_whole_config

    if isinstance(config, Mapping):
        read = make_config(config)
    else:
        read = read_whole_config(None if config is None else Path(config))
    assembly = assemble(read)
    for warning in assembly.warnings:
        logger.warning(warning)
    return assembly
