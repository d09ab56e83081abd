"""The schema as graphql-core has it: what documents are validated against, and values read by."""

from __future__ import annotations

import re
from importlib.resources import files

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    build_schema,
)

from broker_graphql.scalars import SCALARS

_CAPITAL = re.compile(r"(?<!^)([A-Z])")


def read_sdl() -> str:
    """Return the text that the schema is written in."""
    return files("broker_graphql").joinpath("schema.graphql").read_text(encoding="utf-8")


def make_schema() -> GraphQLSchema:
    """Return the schema; what it reads of clients has the broker's own names and words."""
    schema = build_schema(read_sdl())
    for name, form in SCALARS.items():
        scalar = schema.type_map[name]
        assert isinstance(scalar, GraphQLScalarType)
        scalar.coerce_input_value, scalar.coerce_output_value = form.read, form.write
    for kind in schema.type_map.values():
        if not kind.name.startswith("__"):
            _name_as_the_broker(kind)
    return schema


def _name_as_the_broker(kind: GraphQLNamedType) -> None:
    if isinstance(kind, GraphQLEnumType):
        for name, value in kind.values.items():
            value.value = read_enum(kind.name, name)
    elif isinstance(kind, GraphQLInputObjectType):
        for name, field in kind.fields.items():
            field.out_name = snake(name)
    elif isinstance(kind, GraphQLObjectType):
        for output in kind.fields.values():
            for name, argument in output.args.items():
                argument.out_name = snake(name)


def snake(name: str) -> str:
    """Return the broker's name for a name of the schema: lease_seconds for leaseSeconds."""
    return _CAPITAL.sub(r"_\1", name).lower()


def read_enum(kind: str, name: str) -> str:
    """Return the broker's word for an enum's value."""
    word = name.lower()
    return word.replace("_", ".", 1) if kind == "EventKind" else word
