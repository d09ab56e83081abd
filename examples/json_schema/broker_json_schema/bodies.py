"""Reading JSON as RFC 8259 means it, so that all who read a body find the same in it."""

from __future__ import annotations

import json
from typing import Any, NoReturn


def names_json(content_type: str) -> bool:
    """Tell whether a content type is that of JSON, or of a format that is written in it."""
    media_type = content_type.partition(";")[0].strip().lower()
    return media_type == "application/json" or media_type.endswith("+json")


def read_json(body: bytes) -> Any:
    """Return what a body says; raises ValueError for what is no JSON, or says something twice."""
    try:
        return json.loads(body.decode(), parse_constant=_refuse_constant, object_pairs_hook=_object)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("an object has a property twice")
    return found
