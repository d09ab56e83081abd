"""What clients give, read as the broker has it; what is wrong with it, told as they named it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import msgspec
from broker import Draft, FieldError, Invalid, Receipt, limits, read_receipt

T = TypeVar("T")

MAX_SHOWN = 100
"""How much of what is wrong is told, in characters."""

ID = re.compile(r"[0-9]{1,19}\Z")
"""The id of a message as text; whether it is too large, the broker says."""

_UNDERSCORE = re.compile(r"_([a-z])")


@contextmanager
def told_as(*names: tuple[str, str]) -> Iterator[None]:
    """Have an Invalid of this block name its fields as clients know them.

    `names` are patterns of whole names of the broker's, each with what they become; the first that
    matches counts. What is snake_case is camelCase then.
    """
    try:
        yield
    except Invalid as error:
        told = (_told_as(names, one) for one in error.errors)
        # What is wrong with the one queue of many messages is told once.
        errors = {(one.field, one.message): one for one in told}
        Invalid.__init__(error, tuple(errors.values()))
        raise


def read_id(text: str) -> int:
    """Return the id that an ID says; raises Invalid."""
    if not ID.match(text):
        problem = f"expected a whole number from 1 to {limits.MAX_INT64}"
        raise Invalid([FieldError("id", problem, text[:MAX_SHOWN])])
    return int(text)


def read_one_receipt(text: str, field: str = "receipt") -> Receipt:
    """Return what a receipt proves; raises Invalid naming the field."""
    try:
        return read_receipt(text)
    except ValueError as error:
        raise Invalid([FieldError(field, f"is {error}", text[:MAX_SHOWN])]) from error


def read_draft(queue: str, message: Mapping[str, Any], place: str) -> Draft:
    """Return the draft that a MessageInput says; raises Invalid naming fields at this place."""
    options = dict(message)
    text, encoded = options.pop("content", None), options.pop("content_base64", None)
    if (text is None) is (encoded is None):
        problem = "expected exactly one of content and contentBase64"
        raise Invalid([FieldError(f"{place}.content", problem)])
    if text is None:
        body, content_type = _read_base64(encoded, place), limits.BINARY_CONTENT_TYPE
    else:
        body, content_type = text.encode(), limits.TEXT_CONTENT_TYPE
    if options.get("content_type") is None:
        options["content_type"] = content_type
    options["headers"] = _read_headers(options["headers"], place)
    return Draft(queue=queue, body=body, **options)


def _read_base64(text: str, place: str) -> bytes:
    try:
        return msgspec.convert(text, bytes)
    except msgspec.ValidationError as error:
        field = f"{place}.contentBase64"
        raise Invalid([FieldError(field, "expected text in base64", text[:MAX_SHOWN])]) from error


def _read_headers(pairs: Iterable[Mapping[str, str]], place: str) -> dict[str, str]:
    headers: dict[str, str] = {}
    for index, pair in enumerate(pairs):
        if pair["name"] in headers:
            field = f"{place}.headers[{index}].name"
            raise Invalid([FieldError(field, "is given more than once", pair["name"][:MAX_SHOWN])])
        headers[pair["name"]] = pair["value"]
    return headers


def _told_as(names: Iterable[tuple[str, str]], error: FieldError) -> FieldError:
    field = error.field
    for pattern, name in names:
        if found := re.fullmatch(pattern, field):
            field = found.expand(name)
            break
    field = _UNDERSCORE.sub(lambda letter: letter[1].upper(), field)
    return FieldError(field, error.message, error.received)
