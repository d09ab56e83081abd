"""The plugin `storage_lmdb`: keeps queues and messages in LMDB."""

from broker import OrderedStorage, PluginContext, Storage, hookimpl
from pydantic import BaseModel

from broker_storage_lmdb.config import LMDBConfig
from broker_storage_lmdb.storage import LMDBStore


@hookimpl
def config_schema() -> type[BaseModel]:
    """Return what `[plugins.storage_lmdb]` may hold."""
    return LMDBConfig


@hookimpl
def provide_storage(plugin: PluginContext) -> Storage:
    """Return the storage in the configured directory; nothing is opened yet."""
    config: LMDBConfig = plugin.config
    return OrderedStorage(LMDBStore(plugin.data_dir / config.path, config.max_bytes))
