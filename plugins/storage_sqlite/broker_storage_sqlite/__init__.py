"""The plugin `storage_sqlite`: keeps queues and messages in one SQLite file."""

import click
from broker import PluginContext, Storage, hookimpl
from pydantic import BaseModel

from broker_storage_sqlite.commands import db
from broker_storage_sqlite.config import SQLiteConfig
from broker_storage_sqlite.storage import SQLiteStorage


@hookimpl
def config_schema() -> type[BaseModel]:
    """Return what `[plugins.storage_sqlite]` may hold."""
    return SQLiteConfig


@hookimpl
def register_commands(cli: click.Group) -> None:
    """Add `broker db`."""
    cli.add_command(db)


@hookimpl
def provide_storage(plugin: PluginContext) -> Storage:
    """Return the storage on the configured file; nothing is opened yet."""
    return SQLiteStorage(
        plugin.data_dir / plugin.config.path,
        durability=plugin.config.durability,
        logger=plugin.logger,
        meter=plugin.meter,
    )
