"""The AsyncAPI document: what streams tell, read off the routes that answer with one."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from msgspec import UNSET

from broker import Body, BrokerInfo, Description, Route
from broker.builtin.openapi.operations import Object, schemes_of, scopes_of, texts, ways_of
from broker.builtin.openapi.schemas import Schemas

VERSION = "3.0.0"

ABOUT = """What a broker tells while it happens, as Server-Sent Events: a stream is the answer to a
request, and goes on. How to ask for one is in `openapi.json`. Other events than these may be added;
a client passes over what it does not know."""

HOST = {"default": "127.0.0.1:8777", "description": "Where this document came from."}

_SCHEMES = {"apiKey": "httpApiKey", "http": "http", "mutualTLS": "X509"}
"""What AsyncAPI calls the kinds of credentials of OpenAPI that it knows, too; not among them is
OAuth2, whose URLs it wants with a host."""


def write_events(routes: Sequence[Route], info: BrokerInfo) -> Object:
    """Return the document of all described routes that tell events (AsyncAPI 3.0)."""
    told = [(r, r.described) for r in routes if r.described is not None and r.described.events]
    schemas = Schemas(body.kind for _, described in told for body in described.events.values())
    schemes = _schemes(info, *(described for _, described in told))
    return {
        "asyncapi": VERSION,
        "info": {"title": "Replika Broker", "version": info.version, "description": ABOUT},
        "servers": {
            protocol: {"host": "{host}", "protocol": protocol, "variables": {"host": HOST}}
            for protocol in ("http", "https")
        },
        "defaultContentType": "application/json",
        "channels": {about.name: _channel(route, about, schemas) for route, about in told},
        "operations": {
            about.name: _operation(route, about, info, schemes) for route, about in told
        },
        "components": {
            "schemas": schemas.components,
            "securitySchemes": schemes,
        },
    }


def _channel(route: Route, about: Description, schemas: Schemas) -> Object:
    channel: Object = {
        "address": route.path,
        "messages": {
            re.sub(r"\W", "_", name): _message(name, body, schemas)
            for name, body in about.events.items()
        },
    }
    if about.params is not None:
        channel["parameters"] = {
            field.name: {"description": field.text} if field.text else {}
            for field in schemas.fields_of(about.params)
        }
    return channel


def _message(name: str, body: Body, schemas: Schemas) -> Object:
    message: Object = {"name": name, "payload": schemas.of(body.kind)}
    if body.example is not UNSET:
        message["examples"] = [{"payload": body.example}]
    return message


def _operation(
    route: Route, about: Description, info: BrokerInfo, schemes: Collection[str]
) -> Object:
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
    ways = [name for name in ways_of(about, info) if name in schemes]
    if ways and not (info.anonymous and needed is not None):  # in which case none will do, too
        operation["security"] = [{"$ref": f"#/components/securitySchemes/{way}"} for way in ways]
    return operation


def _schemes(info: BrokerInfo, *routes: Description) -> dict[str, Mapping[str, Any]]:
    """Return the Security Scheme Objects of what these routes take for credentials."""
    return {
        name: {**scheme, "type": _SCHEMES[scheme["type"]]}
        for name, scheme in schemes_of(info, *routes).items()
        if scheme.get("type") in _SCHEMES
    }
