"""The OpenAPI document: what can be asked over HTTP, read off the routes that there are."""

from __future__ import annotations

from collections.abc import Sequence

from broker import BrokerInfo, Problem, Route
from broker.builtin.openapi.operations import Object, headers, kinds_of, operation, schemes_of
from broker.builtin.openapi.refusals import name_of, refusal, refusals_of
from broker.builtin.openapi.schemas import Schemas

VERSION = "3.1.0"

ABOUT = """A message broker that is assembled from plugins.

Every route is there at `/` and at `/v1`. Times are RFC 3339 in UTC, durations are seconds. What is
not known, a field or a parameter, is refused. Errors are `application/problem+json` (RFC 9457);
their `code` never changes. Who may not even see a queue gets 404; who may see it, and not do what
was asked, 403 with the scope that is missing."""


def write_document(routes: Sequence[Route], info: BrokerInfo) -> Object:
    """Return the document of all described routes (OpenAPI 3.1)."""
    told = [(route, route.described) for route in routes if route.described is not None]
    kinds = [kind for _, described in told for kind in kinds_of(described)]
    schemas = Schemas([*kinds, Problem])
    paths: dict[str, Object] = {}
    for route, described in told:
        path = paths.setdefault(route.path, {})
        path[route.method.lower()] = operation(route, described, schemas, info)
    refusals = {name_of(e): e for _, described in told for e in refusals_of(described).values()}
    return {
        "openapi": VERSION,
        "info": {"title": "Replika Broker", "version": info.version, "description": ABOUT},
        "servers": [{"url": "/"}, {"url": "/v1"}],
        "tags": [{"name": tag} for tag in dict.fromkeys(described.tag for _, described in told)],
        "paths": paths,
        "components": {
            "schemas": schemas.components,
            "responses": {name: refusal(refusals[name]) for name in sorted(refusals)},
            "headers": headers(),
            "securitySchemes": schemes_of(info, *(described for _, described in told)),
        },
    }
