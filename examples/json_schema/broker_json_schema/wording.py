"""What clients are told: the place and the rule, in few words, and nothing of the rest."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from jsonschema.exceptions import ValidationError

LONGEST = 200

NAMING = frozenset(
    {"additionalProperties", "dependentRequired", "required", "unevaluatedProperties"}
)
"""Rules of which the library's own words name properties, and no value."""


def shortened(text: str) -> str:
    """Return a text, or its beginning if it is long."""
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def pointer(way: Iterable[str | int]) -> str:
    """Return a JSON Pointer (RFC 6901)."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in way)


def problem(error: ValidationError) -> str:
    """Say where a value breaks which rule of its schema."""
    # As JSON, so that nothing in the name of a property does anything but be read.
    place = shortened(json.dumps(pointer(error.absolute_path)))
    return f"{place} {_rule(error)}"


def _rule(error: ValidationError) -> str:
    if error.validator in NAMING:
        return shortened(error.message)
    if error.validator is None:
        # A schema that is `false`; the library tells where the object is that has the value.
        return "has what is not allowed at all"
    expected: Any = error.validator_value
    items = expected if isinstance(expected, list) else [expected]
    if any(isinstance(item, dict | list) for item in items):
        return f'breaks "{error.validator}"'
    return f'breaks "{error.validator}": {shortened(json.dumps(expected))}'
