"""The plugin `json_schema`: what is published into a queue keeps the schema of that queue."""

from broker import Interceptor, PluginContext, hookimpl
from pydantic import BaseModel

from broker_json_schema.config import JsonSchemaConfig
from broker_json_schema.interceptor import JsonSchemaInterceptor


@hookimpl
def config_schema() -> type[BaseModel]:
    """Return what `[plugins.json_schema]` may hold."""
    return JsonSchemaConfig


@hookimpl
def provide_interceptor(plugin: PluginContext) -> Interceptor:
    """Return what looks at every message."""
    return JsonSchemaInterceptor(plugin.config, plugin.data_dir)
