"""With which problems a request may be answered."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import Any

import msgspec

from broker import (
    BodyTooSlow,
    BrokerError,
    Closed,
    Description,
    Forbidden,
    Invalid,
    InvalidToken,
    Malformed,
    MessageNotFound,
    MessageTooLarge,
    Overloaded,
    QueueNotFound,
    RateLimited,
    StorageFailed,
    Unauthenticated,
    Unavailable,
    UnsupportedMediaType,
)

ErrorType = type[BrokerError]

_NOT_FOUND: dict[str, ErrorType] = {"queue": QueueNotFound, "id": MessageNotFound}
"""What is raised if there is nothing of the name that a path's part says."""

MEDIA_TYPE = "application/problem+json"


def names_of(struct: type[msgspec.Struct] | None) -> tuple[str, ...]:
    """Return the names by which clients know the fields of a struct, if there is one."""
    return () if struct is None else struct.__struct_encode_fields__


def refusals_of(described: Description) -> dict[int, tuple[ErrorType, ...]]:
    """Return what a route may raise, by status, each in the order of the codes."""
    found: defaultdict[int, set[ErrorType]] = defaultdict(set)
    for error in _raised(described):
        found[error.status].add(error)
    return {
        status: tuple(sorted(found[status], key=lambda error: error.code))
        for status in sorted(found)
    }


def _raised(described: Description) -> Iterator[ErrorType]:
    yield BrokerError
    yield from described.errors
    if described.needs is not None:
        yield from (Unauthenticated, InvalidToken, Unavailable, Closed, Overloaded, StorageFailed)
    if described.needs:
        yield from (Forbidden, RateLimited)
        for name in names_of(described.params):
            yield from (_NOT_FOUND[name],) if name in _NOT_FOUND else ()
    if described.params or described.query or described.headers:
        yield Invalid
    if described.takes:
        yield from (Malformed, MessageTooLarge, BodyTooSlow, Invalid, Unavailable, Overloaded)
        if all(body.media_type != "*/*" for body in described.takes):
            yield UnsupportedMediaType


def name_of(errors: Iterable[ErrorType]) -> str:
    """Return the name under which the answers with these problems are told once."""
    # By codes: classes of two plugins may have one name.
    return "Or".join(error.code.title().replace("-", "") for error in errors)


def refusal(errors: tuple[ErrorType, ...]) -> dict[str, Any]:
    """Return the Response Object of problems of the same status."""
    status = errors[0].status
    headers = {"X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"}}
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        headers["WWW-Authenticate"] = {"$ref": "#/components/headers/WWW-Authenticate"}
    if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
        headers["Retry-After"] = {"$ref": "#/components/headers/Retry-After"}
    exact = {"status": {"const": status}, "code": {"enum": [error.code for error in errors]}}
    schema = {"allOf": [{"$ref": "#/components/schemas/Problem"}, {"properties": exact}]}
    return {
        "description": "\n".join(f"- `{error.code}`: {_sentence(error)}" for error in errors),
        "headers": headers,
        "content": {
            MEDIA_TYPE: {
                "schema": schema,
                "examples": {error.code: {"value": _example(error)} for error in errors},
            }
        },
    }


def _example(error: ErrorType) -> dict[str, Any]:
    return {
        "type": f"urn:replika-broker:problem:{error.code}",
        "title": error.title,
        "status": error.status,
        "code": error.code,
        "detail": _sentence(error),
        "instance": "/queues/orders",
        "request_id": "5f1c0a9d2b7e-1a",
    }


def _sentence(error: ErrorType) -> str:
    if error is BrokerError:
        return "Something went wrong; the log tells more about the request."
    paragraph, _, _ = (error.__doc__ or error.title).partition("\n\n")
    return " ".join(paragraph.split())
