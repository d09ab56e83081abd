"""The plugin `memory`: keeps everything in this process, and nothing when it ends."""

from broker import PluginContext, Storage, hookimpl
from broker.builtin.memory.storage import MemoryStorage

__all__ = ["MemoryStorage", "provide_storage"]


@hookimpl
def provide_storage(plugin: PluginContext) -> Storage:  # noqa: ARG001  # it needs nothing
    """Return an empty storage."""
    return MemoryStorage()
