"""From types to JSON Schema, in words that everybody reads alike."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

Schema = dict[str, Any]


class Schemas:
    """The schemas of types: each struct once, under its name, and all else where it stands."""

    def __init__(self, kinds: Iterable[Any]) -> None:
        distinct = {id(kind): kind for kind in kinds}
        found, components = msgspec.json.schema_components(
            distinct.values(), ref_template="#/components/schemas/{name}"
        )
        self._kinds = distinct  # as long as they are there, no other has the same id
        self._schemas = dict(zip(distinct, map(_portable, found), strict=True))
        self.components: dict[str, Schema] = {
            name: _portable(schema) for name, schema in sorted(components.items())
        }
        """The structs, by name."""

    def of(self, kind: Any) -> Schema:
        """Return the schema of one of the types: of a struct, where it stands."""
        schema: Schema = self._schemas[id(kind)]
        return schema


def fields_of(
    struct: type[msgspec.Struct], *, nullable: bool = True
) -> list[tuple[str, Schema, bool]]:
    """Return of each field of a struct its name, its schema, and whether it must be there.

    Not `nullable` are headers, where `null` is a text as any other.
    """
    _, components = msgspec.json.schema_components([struct])
    whole = _portable(components[struct.__name__])
    required = whole["required"]
    return [
        (name, schema if nullable else _without_null(schema), name in required)
        for name, schema in whole["properties"].items()
    ]


def _without_null(schema: Schema) -> Schema:
    if "anyOf" not in schema:
        return schema
    rest = {key: value for key, value in schema.items() if key not in ("anyOf", "default")}
    members = [member for member in schema["anyOf"] if member != {"type": "null"}]
    return {**rest, **members[0]} if len(members) == 1 else {**rest, "anyOf": members}


def _portable(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_portable(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {name: _portable(value) for name, value in schema.items()}
    if isinstance(schema.get("pattern"), str):
        schema["pattern"] = _as_others_write(schema["pattern"])
    if isinstance(schema.get("anyOf"), list):
        members = [one for one in schema["anyOf"] if not _is_covered(one, schema["anyOf"])]
        schema = {**schema, "anyOf": members} if len(members) > 1 else _merged(schema, members[0])
    return schema


def _as_others_write(pattern: str) -> str:
    r"""Return a pattern in the regular expressions of ECMA 262: they have no `\Z`, and JSON has no
    halves of surrogates that would have to be kept out."""
    return pattern.replace(r"\Z", "$").replace(r"\ud800-\udfff", "")


def _is_covered(member: Schema, members: list[Schema]) -> bool:
    """Tell whether a member is whole numbers beside numbers with the same limits."""
    return member.get("type") == "integer" and {**member, "type": "number"} in members


def _merged(schema: Schema, member: Schema) -> Schema:
    return {name: value for name, value in schema.items() if name != "anyOf"} | member
