"""JSON Schema as this plugin understands it: Draft 2020-12, and work that a body bounds."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend

DIALECT = "https://json-schema.org/draft/2020-12/schema"

FORMATS = FormatChecker(())
"""Those that are checked in time that grows with the text alone; all of them are there, because
this distribution depends on what checks them."""

FORMATS.checkers = {
    name: Draft202012Validator.FORMAT_CHECKER.checkers[name]
    for name in (
        *("date", "date-time", "time", "email", "hostname", "ipv4", "ipv6"),
        *("uri", "uri-reference", "uuid"),
    )
}


def _unique_items(validator: Any, wanted: Any, items: Any, _: Any) -> Iterator[ValidationError]:
    if wanted and validator.is_type(items, "array") and len({*map(_key, items)}) < len(items):
        yield ValidationError("has items twice")


def _key(value: Any) -> Hashable:
    """Return the same for what JSON Schema takes for equal, and for nothing else."""
    if isinstance(value, bool):
        return ("bool", value)  # which Python takes for a number
    if isinstance(value, Mapping):
        return frozenset((name, _key(item)) for name, item in value.items())
    return tuple(map(_key, value)) if isinstance(value, list) else value


# The library compares each item with all others as soon as one of them is an object.
VALIDATOR: Any = extend(Draft202012Validator, {"uniqueItems": _unique_items})
