"""The config as it takes effect, defaults and all, without its secrets; and its JSON Schema."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import tomli_w
from pydantic import BaseModel, Secret, SecretBytes, SecretStr
from pydantic.json_schema import models_json_schema
from pydantic_core import to_jsonable_python

from broker.config import BrokerConfig, Config, LogConfig, ServerConfig, TracesConfig
from broker.config.layers import Layers
from broker.config.shapes import TolerantJsonSchema
from broker.plugins import Plugin
from broker.wording import MASK, KeyPath


def effective(config: Config, plugins: Sequence[Plugin]) -> dict[str, Any]:
    """Return the whole config as tables of plain values, each secret as `********`."""
    models: dict[str, BaseModel] = {p.name: p.config for p in plugins if p.config is not None}
    layers = config.layers
    return {
        "server": _plain(config.server.model_dump(), ("server",), layers),
        "broker": _plain(config.broker.model_dump(), ("broker",), layers),
        "log": _plain(config.log.model_dump(), ("log",), layers),
        "traces": _plain(config.traces.model_dump(), ("traces",), layers),
        "plugins": {
            name: _plain(model.model_dump(by_alias=True), ("plugins", name), layers)
            for name, model in models.items()
        },
    }


def as_toml(tables: dict[str, Any]) -> str:
    """Write tables as TOML; what is None is left out, for TOML has no word for it."""
    text = tomli_w.dumps(_without_none(tables))
    # A path from the environment may hold bytes that are no UTF-8, and no terminal takes them.
    return text.encode("utf-8", "backslashreplace").decode()


def as_json(tables: dict[str, Any]) -> str:
    """Write tables as indented JSON."""
    return json.dumps(tables, indent=2)


def json_schema(plugins: Sequence[Plugin]) -> dict[str, Any]:
    """Return the JSON Schema of the file, with the tables of these plugins.

    It describes plain values: `{ env = "…" }` and `{ file = "…" }`, which may stand for any, are
    not in it.
    """
    schemas: dict[str, type[BaseModel]] = {
        plugin.name: type(plugin.config) for plugin in plugins if plugin.config is not None
    }
    models: list[type[BaseModel]] = [
        ServerConfig,
        BrokerConfig,
        LogConfig,
        TracesConfig,
        *schemas.values(),
    ]
    references, document = models_json_schema(
        [(model, "validation") for model in models],
        title="broker.toml",
        schema_generator=TolerantJsonSchema,
    )
    tables = {name: references[model, "validation"] for name, model in schemas.items()}
    for definition in document.get("$defs", {}).values():
        if "properties" in definition:
            definition["additionalProperties"] = False
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **document,
        "type": "object",
        "properties": {
            "server": references[ServerConfig, "validation"],
            "broker": references[BrokerConfig, "validation"],
            "log": references[LogConfig, "validation"],
            "traces": references[TracesConfig, "validation"],
            "plugins": {
                "type": "object",
                "properties": tables,
                "additionalProperties": {"type": "object"},
            },
        },
        "additionalProperties": False,
    }


def _plain(value: Any, path: KeyPath, layers: Layers) -> Any:
    if isinstance(value, Secret | SecretStr | SecretBytes) or layers.origin(path).secret:
        return MASK
    if isinstance(value, dict):
        return {str(key): _plain(inner, (*path, str(key)), layers) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(inner, (*path, index), layers) for index, inner in enumerate(value)]
    return to_jsonable_python(value, fallback=str)


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_without_none(inner) for inner in value if inner is not None]
    return value
