"""Reading a request: the path, the query string, headers, the body."""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import Any, TypeVar, get_origin

import msgspec

from broker import FieldError, Invalid, QueueName, Request, demand_json
from broker.builtin.rest.explain import explain, fields_of, refused, shorten
from broker.builtin.rest.wire import MAX_ID

T = TypeVar("T", bound=msgspec.Struct)

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for a body that is not what was expected."""

_ID = re.compile(r"[0-9]{1,19}\Z")


def read_queue(request: Request) -> str:
    """Return the queue that the path names; raises Invalid if there can be none of that name."""
    return _check_queue(request.params["queue"])


def read_id(request: Request) -> int:
    """Return the id of the message that the path names."""
    text = request.params["id"]
    if _ID.match(text) and 1 <= int(text) <= MAX_ID:
        return int(text)
    raise Invalid([FieldError("id", f"expected a whole number from 1 to {MAX_ID}", shorten(text))])


def read_query(request: Request, kind: type[T]) -> T:
    """Read the query string; a field that is a list takes several values, also with commas."""
    if not request.query:
        return kind()
    values: dict[str, Any] = {}
    errors = []
    lists = _lists(kind)
    for name, given in request.query.items():
        if name in lists:
            values[name] = [part for value in given for part in value.split(",")]
        else:
            values[name] = given[0]
            if len(given) > 1:
                errors.append(FieldError(name, "is given more than once", shorten(given)))
    return _convert(values, kind, errors)


def read_headers(request: Request, kind: type[T]) -> T:
    """Read the headers that a route pays attention to; they are the fields of `kind`."""
    values = {name: _as_utf8(request.headers.get(name.lower())) for name in fields_of(kind)}
    return _convert(values, kind, [])


def _as_utf8(value: str | None) -> str | None:
    """Read a header, which came as Latin-1 as all do, as the UTF-8 that clients send.

    Bytes that are no UTF-8 become surrogates, which every field refuses.
    """
    return None if value is None else value.encode("latin-1").decode("utf-8", "surrogateescape")


def read_body(request: Request, kind: type[T]) -> T:
    """Read a JSON body that must be there."""
    demand_json(request)
    try:
        return msgspec.json.decode(request.body, type=kind)
    except UNREADABLE as error:
        raise explain(request.body, kind, error) from error


def read_optional_body(request: Request, kind: type[T]) -> T:
    """Read a JSON body; without one, everything in it is its default."""
    return read_body(request, kind) if request.body else kind()


@lru_cache(maxsize=1024)
def _check_queue(name: str) -> str:
    try:
        return msgspec.convert(name, QueueName)
    except ValueError:
        errors = refused(name, QueueName, "queue")
        raise Invalid(list(errors)) from None


@cache
def _lists(kind: Any) -> frozenset[str]:
    fields = fields_of(kind).items()
    return frozenset(name for name, field in fields if get_origin(field.type) is list)


def _convert(values: dict[str, Any], kind: type[T], errors: list[FieldError]) -> T:
    try:
        value = msgspec.convert(values, kind, strict=False)
    except ValueError:  # a ValidationError, or text that is no Unicode
        found = refused(values, kind, strict=False)
        errors += [FieldError(e.field.partition("[")[0], e.message, e.received) for e in found]
    if errors:
        raise Invalid(errors)
    return value
