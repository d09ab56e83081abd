"""From types to JSON Schema, in words that everybody reads alike."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec
from msgspec import inspect

from broker.builtin.openapi.docstrings import Docstrings

Schema = dict[str, Any]


class Field(NamedTuple):
    """A field of a struct, as clients know it."""

    name: str
    text: str
    """What it means; nothing, if nobody wrote it down."""
    schema: Schema
    is_required: bool


class Schemas:
    """The schemas of types: each struct once, under its name, and all else where it stands."""

    def __init__(self, kinds: Iterable[Any]) -> None:
        distinct = {id(kind): kind for kind in kinds}
        found, components = msgspec.json.schema_components(
            distinct.values(), ref_template="#/components/schemas/{name}"
        )
        self._kinds = distinct  # as long as they are there, no other has the same id
        self._schemas = dict(zip(distinct, map(_portable, found), strict=True))
        self._docstrings = Docstrings()
        structs = {_mark(struct): struct for struct in _structs(distinct.values())}
        self.components: dict[str, Schema] = {}
        """The structs, by name."""
        for name, schema in sorted(components.items()):
            struct = structs.get((schema["title"], *schema.get("properties", ())))
            texts = {} if struct is None else self._docstrings.of(struct)
            self.components[name] = _told(_portable(schema), texts)

    def of(self, kind: Any) -> Schema:
        """Return the schema of one of the types: of a struct, where it stands."""
        schema: Schema = self._schemas[id(kind)]
        return schema

    def fields_of(
        self, struct: type[msgspec.Struct] | None, *, nullable: bool = True
    ) -> Iterator[Field]:
        """Yield the fields of a struct, if there is one.

        Not `nullable` are headers, where `null` is a text as any other.
        """
        if struct is None:
            return
        (found,), components = msgspec.json.schema_components([struct], ref_template="{name}")
        whole = _portable(components[found["$ref"]])
        texts = self._docstrings.of(struct)
        for name, schema in whole["properties"].items():
            own = schema if nullable else _without_null(schema)
            yield Field(name, texts.get(name, ""), own, name in whole["required"])


def _structs(kinds: Iterable[Any]) -> Iterator[type[msgspec.Struct]]:
    """Yield all structs of which types are made."""
    unseen: list[Any] = list(inspect.multi_type_info(kinds))
    seen: set[type[msgspec.Struct]] = set()
    while unseen:
        one = unseen.pop()
        if isinstance(one, inspect.StructType):
            if one.cls in seen:
                continue
            seen.add(one.cls)
            yield one.cls
        for part in msgspec.structs.astuple(one):
            parts = part if isinstance(part, tuple) else (part,)
            unseen += (p for p in parts if isinstance(p, (inspect.Type, inspect.Field)))


def _mark(struct: type[msgspec.Struct]) -> tuple[str, ...]:
    """Return what a struct can be known by in its schema, whatever name that got."""
    return (struct.__name__, *struct.__struct_encode_fields__)


def _told(schema: Schema, texts: Mapping[str, str]) -> Schema:
    """Return the schema of a struct with what its fields mean."""
    properties = {
        name: {**field, "description": texts[name]} if name in texts else field
        for name, field in schema.get("properties", {}).items()
    }
    return {**schema, "properties": properties} if properties else schema


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
