"""A queue that is there whenever the broker is."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from broker import Broker, Identity, PluginContext, QueueSpec, hookimpl

ACME = Identity(subject="acme", scopes=frozenset({"admin"}))


@asynccontextmanager
async def lifespan(broker: Broker) -> AsyncIterator[None]:
    """Make the queue; what stands behind `yield` runs before the storage is closed."""
    await broker.queues.put(ACME, QueueSpec("acme-inbox"))
    yield


@hookimpl
def provide_lifespan(plugin: PluginContext, broker: Broker) -> AbstractAsyncContextManager[None]:
    """Return what is entered at the start and left at the end."""
    return lifespan(broker)
