"""The AsyncAPI document: what streams tell, read off the routes that answer with one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from broker import BrokerInfo, Description, Route
from broker.builtin.openapi.operations import Object, scopes_of, texts
from broker.builtin.openapi.schemas import Schemas, fields_of

VERSION = "3.0.0"

ABOUT = """What a broker tells while it happens, as Server-Sent Events: a stream is the answer to a
request, and goes on. How to ask for one is in `openapi.json`. Other events than these may be added;
a client passes over what it does not know."""


def write_events(routes: Sequence[Route], info: BrokerInfo) -> Object:
    """Return the document of all described routes that tell events (AsyncAPI 3.0)."""
    told = [(r, r.described) for r in routes if r.described is not None and r.described.events]
    schemas = Schemas(kind for _, described in told for kind in described.events.values())
    return {
        "asyncapi": VERSION,
        "info": {"title": "Replika Broker", "version": info.version, "description": ABOUT},
        "defaultContentType": "application/json",
        "channels": {about.name: _channel(route, about, schemas) for route, about in told},
        "operations": {about.name: _operation(route, about, info) for route, about in told},
        "components": {
            "schemas": schemas.components,
            "securitySchemes": {name: _scheme(one) for name, one in info.security.items()},
        },
    }


def _channel(route: Route, about: Description, schemas: Schemas) -> Object:
    channel: Object = {
        "address": route.path,
        "messages": {
            name: {"name": name, "payload": schemas.of(kind)} for name, kind in about.events.items()
        },
    }
    if about.params is not None:
        channel["parameters"] = {name: {} for name, _, _ in fields_of(about.params)}
    return channel


def _operation(route: Route, about: Description, info: BrokerInfo) -> Object:
    needed = scopes_of(about)
    summary, text = texts(route, needed)
    operation: Object = {
        "action": "send",
        "channel": {"$ref": f"#/channels/{about.name}"},
        "summary": summary,
        "description": text,
        "tags": [{"name": about.tag}],
        "bindings": {"http": {"method": route.method, "bindingVersion": "0.3.0"}},
    }
    if needed is not None and info.security and not info.anonymous:
        schemes = [f"#/components/securitySchemes/{name}" for name in info.security]
        operation["security"] = [{"$ref": scheme} for scheme in schemes]
    return operation


def _scheme(openapi: Any) -> Object:
    """Return a Security Scheme Object of AsyncAPI, which calls keys that come with HTTP so."""
    scheme = dict(openapi)
    if scheme.get("type") == "apiKey":
        scheme["type"] = "httpApiKey"
    return scheme
