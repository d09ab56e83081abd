"""A broker as an ASGI application, or inside a program without HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from broker.assembly import assemble
from broker.engine import Broker

if TYPE_CHECKING:
    from quart import Quart

    from broker.config import Config


def create_app(config: Config) -> Quart:
    """Return the ASGI application of the broker that the config describes.

    Serve it with any ASGI server; it opens at the server's startup and closes at its shutdown.
    The hot routes go round Quart: functions that you add to the app do not see their requests.
    Raises ConfigError or PluginError, each of which names the remedy.
    """
    from broker.mounting import mount  # imports a web framework

    assembly = assemble(config)
    return mount(assembly, lifespan=assembly.running)


@asynccontextmanager
async def open_broker(config: Config) -> AsyncIterator[Broker]:
    """Run the broker that the config describes without HTTP, inside this program."""
    assembly = assemble(config)
    async with assembly.running() as broker:
        yield broker
