"""What a field may hold, in words: read off its type, so that both always agree."""

from __future__ import annotations

from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec
from msgspec import Meta, UnsetType


def unwrap(kind: Any) -> tuple[Any, tuple[Meta, ...]]:
    """Return a type without its annotations, and what they say."""
    if get_origin(kind) is Annotated:
        bare, *metas = get_args(kind)
        return bare, tuple(meta for meta in metas if isinstance(meta, Meta))
    return kind, ()


def members(kind: Any) -> tuple[Any, ...]:
    """Return the types that a union consists of; of anything else, itself."""
    return get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)


def is_struct(kind: Any) -> bool:
    """Tell whether a type is a struct."""
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def expectation(kind: Any) -> str:
    """Say what a field of this type may hold: `a whole number from 0 to 9`, for example."""
    parts: list[str] = []
    for member in members(kind):
        text = _member(*unwrap(member))
        # A number is `int | float` with the same limits; the wider says it all.
        if text.startswith("a number") and parts and parts[-1].startswith("a whole number"):
            parts.pop()
        parts.append(text)
    return " or ".join(part for part in parts if part)


def _member(bare: Any, metas: tuple[Meta, ...]) -> str:
    if bare is UnsetType:
        return ""
    said = next((meta.description for meta in metas if meta.description), None)
    if said:
        return said
    if get_origin(bare) is Literal:
        return "one of " + ", ".join(f'"{value}"' for value in get_args(bare))
    if bare is str:
        patterns = (meta.pattern.replace(r"\Z", "$") for meta in metas if meta.pattern)
        return " ".join(["text", *(f"like {pattern}" for pattern in patterns)])
    if bare in (int, float):
        return _NAMES[bare] + "".join(map(_limits, metas))
    return _NAMES.get(get_origin(bare) or bare, "an object")


_NAMES: dict[Any, str] = {
    NoneType: "null",
    bool: "true or false",
    bytes: "text in base64",
    dict: "an object",
    float: "a number",
    int: "a whole number",
    list: "an array",
}


def _limits(meta: Meta) -> str:
    if meta.gt is not None:
        return f" above {meta.gt}, at most {meta.le}"
    return f" from {meta.ge} to {meta.le}" if meta.ge is not None else ""
