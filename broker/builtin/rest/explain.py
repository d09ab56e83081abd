"""Saying everything that is wrong with a request.

Reading stops at the first wrong field, because it is fast. This module is asked when reading
failed: it reads again, slowly, and names every field that cannot stay as it is.
"""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Iterator
from functools import cache
from itertools import islice
from typing import Any, get_args, get_origin

import msgspec
from msgspec import Meta
from msgspec.structs import FieldInfo

from broker import BrokerError, FieldError, Invalid, Malformed
from broker.builtin.rest.expecting import expectation, is_struct, members, unwrap

MAX_ERRORS = 1000
"""So that the answer to nonsense is not longer than the nonsense."""

MAX_VALUES = 150_000
"""A body with more JSON values is only read until its first error, which takes no memory."""

WHOLE = "body"
"""The field that is named when the body itself is of a wrong type."""

MAX_SHOWN = 100
LONGEST_INT = 400


def explain(body: bytes, kind: Any, cause: Exception) -> BrokerError:
    """Return the error that tells all that keeps a JSON body from being a `kind`.

    `cause` is what reading it raised, for the case that nothing better can be said.
    """
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        return Malformed(f"the body is not UTF-8: byte {error.start} cannot be decoded")
    if body.count(b",") + body.count(b"{") + body.count(b"[") > MAX_VALUES:
        return _first(cause)
    try:
        value = json.loads(text, parse_int=_integer, parse_constant=_refuse_constant)
        errors = list(islice(refused(value, kind), MAX_ERRORS))
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        return Malformed(f"the body is not JSON: {error.msg} ({where})")
    except ValueError as error:
        return Malformed(f"the body is not JSON: {error}")
    except RecursionError:
        return Malformed("the body is nested too deeply")
    return Invalid(errors) if errors else _first(cause)


def refused(value: Any, kind: Any, path: str = "", *, strict: bool = True) -> Iterator[FieldError]:
    """Yield an error for each field of `value`, as JSON decodes it, that keeps it from being a
    `kind`; with `strict` off, text that reads as a number is one."""
    bare, metas = unwrap(kind)
    member = next((part for part in members(bare) if _holds(part, value)), bare)
    if member is not bare:
        yield from refused(value, member, path, strict=strict)
    elif _holds(bare, value):
        yield from _container(value, kind, path, strict=strict)
    else:
        problem = _problem(value, kind, strict=strict) or _meaning_problem(value, bare, metas)
        if problem:
            yield FieldError(path or WHOLE, problem, shorten(value))


@cache
def fields_of(kind: Any) -> dict[str, FieldInfo]:
    """Return the fields of a struct by the names that clients know."""
    return {field.encode_name: field for field in msgspec.structs.fields(kind)}


def shorten(value: Any) -> Any:
    """Return a value that can be shown to the client: small, and certain to be encodable."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, int) and -(2**63) <= value < 2**64:
        return value
    if isinstance(value, str):
        return _printable(value[:MAX_SHOWN])
    pieces = json.JSONEncoder(ensure_ascii=False).iterencode(value)
    text = ""
    for piece in pieces:
        text += piece[:MAX_SHOWN]
        if len(text) >= MAX_SHOWN:
            break
    return _printable(text[:MAX_SHOWN])


def _container(value: Any, kind: Any, path: str, *, strict: bool) -> Iterator[FieldError]:
    bare, metas = unwrap(kind)
    problem = _size_problem(value, metas)
    if problem:
        yield FieldError(path, problem, shorten(value))
    for error in _inside(value, bare, path, strict=strict):
        problem = error.message
        yield error
    # What the whole means is only asked of a whole that is in order.
    problem = None if problem else _meaning_problem(value, bare, metas)
    if problem:
        yield FieldError(path, problem, shorten(value))


def _inside(value: Any, bare: Any, path: str, *, strict: bool) -> Iterator[FieldError]:
    if isinstance(value, list):
        [item_kind] = get_args(bare)
        # No list may be longer; one that is was refused for its size.
        for index, item in enumerate(value[:MAX_ERRORS]):
            yield from refused(item, item_kind, f"{path}[{index}]", strict=strict)
    elif is_struct(bare):
        yield from _struct(value, bare, path, strict=strict)
    else:
        name_kind, item_kind = get_args(bare)
        for name, item in value.items():
            place = _join(path, name)
            yield from refused(name, name_kind, place)
            yield from refused(item, item_kind, place, strict=strict)


def _struct(value: dict[str, Any], kind: Any, path: str, *, strict: bool) -> Iterator[FieldError]:
    fields = fields_of(kind)
    for name, field in fields.items():
        if name in value:
            yield from refused(value[name], field.type, _join(path, name), strict=strict)
        elif field.required:
            yield FieldError(_join(path, name), "is required")
    for name, item in value.items():
        if name not in fields:
            yield FieldError(_join(path, name), _unknown(name, fields), shorten(item))
    alternatives = getattr(kind, "exactly_one", ())
    given = [name for name in alternatives if name in value]
    if alternatives and not given:
        yield FieldError(_join(path, alternatives[0]), f"is required, or {alternatives[1]}")
    for name in given[1:]:
        yield FieldError(_join(path, name), f"cannot stand beside {given[0]}")


def _problem(value: Any, kind: Any, *, strict: bool) -> str | None:
    if isinstance(value, str) and not _is_encodable(value):
        return "contains half of a surrogate pair, or bytes that are not UTF-8"
    try:
        msgspec.convert(value, kind, strict=strict)
    except msgspec.ValidationError:
        return f"expected {expectation(kind)}{', got null' if value is None else ''}"
    return None


def _size_problem(value: Any, metas: tuple[Meta, ...]) -> str | None:
    for meta in metas:
        if meta.min_length is not None and len(value) < meta.min_length:
            return f"expected at least {meta.min_length}, got {len(value)}"
        if meta.max_length is not None and len(value) > meta.max_length:
            return f"expected at most {meta.max_length}, got {len(value)}"
    return None


def _meaning_problem(value: Any, bare: Any, metas: tuple[Meta, ...]) -> str | None:
    # In `X | None`, what is wrong with an X is annotated at the X.
    for part in members(bare):
        inner, annotated = unwrap(part)
        metas += annotated if inner is type(value) else ()
    for meta in metas:
        problem: str | None = (meta.extra or {}).get("refuse", _accept)(value)
        if problem:
            return problem
    return None


def _accept(_: Any) -> None:
    return None


def _first(cause: Exception) -> BrokerError:
    """Translate the one error that msgspec tells."""
    if not isinstance(cause, msgspec.ValidationError):
        return Malformed(f"the body cannot be read: {_plain(str(cause))}")
    message, _, place = str(cause).partition(" - at ")
    path = re.search(r"\$\.?([^`]*)", place)
    name = re.search(r"field `(.*)`", message, re.DOTALL)  # an unknown or a missing one
    field = ".".join(found[1] for found in (path, name) if found and found[1])
    return Invalid([FieldError(_printable(field[:MAX_SHOWN]) or WHOLE, _plain(message))])


def _holds(kind: Any, value: Any) -> bool:
    """Tell whether `kind` is the sort of container that `value` is."""
    bare, _ = unwrap(kind)
    if isinstance(value, dict):
        return is_struct(bare) or get_origin(bare) is dict
    return isinstance(value, list) and get_origin(bare) is list


def _unknown(name: str, fields: dict[str, FieldInfo]) -> str:
    close = difflib.get_close_matches(name[:MAX_SHOWN], fields, n=1)
    return f'is not known here; did you mean "{close[0]}"?' if close else "is not known here"


def _join(path: str, name: str) -> str:
    shown = _printable(name[:MAX_SHOWN]) or '""'
    return f"{path}.{shown}" if path else shown


def _plain(message: str) -> str:
    text = _printable(message.replace("`", "")[: 2 * MAX_SHOWN])
    return text[:1].lower() + text[1:]


def _printable(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _integer(digits: str) -> int:
    # Python refuses longer ones; as too large a number it is refused all the same.
    return int(digits[:LONGEST_INT])


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON value")
