"""From a described route to an Operation Object of OpenAPI."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import UNSET

from broker import Answer, Body, BrokerInfo, Description, Route
from broker.builtin.openapi.refusals import name_of, names_of, refusal, refusals_of
from broker.builtin.openapi.schemas import Schemas

Object = dict[str, Any]

RECEIVED: Mapping[str, tuple[str, bool]] = {
    "Cache-Control": ("Whether, and for how long, the answer may be kept.", True),
    "ETag": ('The version, for `If-Match`: `"v7"`.', True),
    "Link": ('The next page, `<...>; rel="next"`, if there may be one (RFC 8288).', False),
    "Location": ("Where it is from now on.", True),
    "Retry-After": ("The seconds after which the same may succeed.", False),
    "Set-Cookie": ("What the browser shall keep, or forget.", False),
    "WWW-Authenticate": ("What is wanted (RFC 9110, section 11.6.1).", False),
    "X-Request-Id": ("By which log lines know the request; yours, if you send one.", True),
}
"""Of each header that is told of: what it says, and whether it is always there."""


_KNOWN = {name.lower(): name for name in RECEIVED}

_VARIABLE = re.compile(r"\{(\w+)\}")


def headers() -> Object:
    """Return the Header Objects of all headers that answers name."""
    return {
        name: {"description": text, "required": is_sure, "schema": {"type": "string"}}
        for name, (text, is_sure) in RECEIVED.items()
    }


def kinds_of(described: Description) -> Iterator[Any]:
    """Yield the types of all bodies of a route."""
    for body in (*described.takes, *described.answers):
        if body.kind not in (None, bytes):
            yield body.kind


def operation(route: Route, described: Description, schemas: Schemas, info: BrokerInfo) -> Object:
    """Return the Operation Object of a route."""
    needed = scopes_of(described)
    summary, text = texts(route, needed)
    told: Object = {
        "operationId": described.name,
        "tags": [described.tag],
        "summary": summary,
        "description": text,
        "responses": _responses(described, schemas, summary),
    }
    if parameters := list(_parameters(route, described, schemas)):
        told["parameters"] = parameters
    if described.takes:
        told["requestBody"] = {
            "required": not described.is_body_optional,
            "content": {body.media_type: _content(body, schemas) for body in described.takes},
        }
    told["security"] = _security(described, info, needed)
    return told


def scopes_of(described: Description) -> list[str] | None:
    """Return the scopes that a route demands, None if it does not even ask who asks."""
    if described.needs is None:
        return None
    queue = "{queue}" if "queue" in names_of(described.params) else "<queue>"
    return ["admin" if need == "admin" else f"{need}:{queue}" for need in described.needs]


def _security(described: Description, info: BrokerInfo, needed: list[str] | None) -> list[Object]:
    """Return the Security Requirement Objects: credentials of any one kind, or none at all."""
    ways: list[Object] = [{name: needed or []} for name in ways_of(described, info)]
    return [*ways, {}] if info.anonymous and needed is not None else ways


def ways_of(described: Description, info: BrokerInfo) -> list[str]:
    """Return the names of the Security Scheme Objects of what a route takes for credentials."""
    return [*(described.security if described.needs is None else schemes_of(info, described))]


def schemes_of(info: BrokerInfo, *routes: Description) -> dict[str, Mapping[str, Any]]:
    """Return the Security Scheme Objects of all that some of these routes take for credentials."""
    return {
        name: scheme
        for schemes in (info.security, *(described.security for described in routes))
        for name, scheme in schemes.items()
    }


def texts(route: Route, needed: list[str] | None) -> tuple[str, str]:
    """Return what a route does, in a line and in all: what its handler says, and these scopes."""
    text = inspect.getdoc(route.handler) or ""
    summary, _, _ = text.partition("\n\n")
    if needed:
        text += "\n\nScopes: " + ", ".join(f"`{scope}`" for scope in needed) + "."
    return " ".join(summary.replace("`", "").split()).rstrip("."), text


def _parameters(route: Route, described: Description, schemas: Schemas) -> Iterator[Object]:
    for place, struct in (
        ("path", described.params),
        ("query", described.query),
        ("header", described.headers),
    ):
        for field in schemas.fields_of(struct, nullable=place == "query"):
            told: Object = {"name": field.name, "in": place, "required": field.is_required}
            if field.text:
                told["description"] = field.text
            if "examples" in field.schema:
                told["example"] = field.schema.pop("examples")[0]
            yield {**told, "schema": field.schema}
    for name in _VARIABLE.findall(route.path):
        if name not in names_of(described.params):
            yield {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _responses(described: Description, schemas: Schemas, summary: str) -> Object:
    told: dict[int, Object] = {}
    for status, errors in refusals_of(described).items():
        told[status] = {"$ref": f"#/components/responses/{name_of(errors)}"}
        if any(answer.status == status for answer in described.answers):
            told[status] = refusal(errors)  # which other forms join
    for answer in described.answers:
        response = told.setdefault(answer.status, _response(summary))
        _join(response, answer, schemas)
    return {str(status): told[status] for status in sorted(told)}


def _response(summary: str) -> Object:
    return {
        "description": summary,
        "headers": {"X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"}},
    }


def _join(response: Object, answer: Answer, schemas: Schemas) -> None:
    for header in answer.headers:
        known = _KNOWN.get(header.lower())
        if known is None:
            response["headers"][header] = {"schema": {"type": "string"}}
        else:
            response["headers"][known] = {"$ref": f"#/components/headers/{known}"}
    if answer.kind is not None:
        content = response.setdefault("content", {})
        content[answer.media_type] = _content(answer, schemas)


def _content(body: Body, schemas: Schemas) -> Object:
    told: Object = {"schema": {} if body.kind is bytes else schemas.of(body.kind)}
    if body.example is not UNSET:
        told["example"] = body.example
    return told
