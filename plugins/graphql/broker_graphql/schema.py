"""The schema as graphql-core has it: what documents are validated against."""

from __future__ import annotations

from importlib.resources import files

from graphql import GraphQLEnumType, GraphQLScalarType, GraphQLSchema, build_schema

from broker_graphql.scalars import SCALARS

SDL = files("broker_graphql").joinpath("schema.graphql").read_text(encoding="utf-8")


def make_schema() -> GraphQLSchema:
    """Return the schema, its enums with the broker's own words as their values."""
    schema = build_schema(SDL)
    for name, form in SCALARS.items():
        scalar = schema.type_map[name]
        assert isinstance(scalar, GraphQLScalarType)
        scalar.coerce_input_value, scalar.coerce_output_value = form.read, form.write
    for kind in schema.type_map.values():
        if isinstance(kind, GraphQLEnumType) and not kind.name.startswith("__"):
            for name, value in kind.values.items():
                value.value = read_enum(kind.name, name)
    return schema


def read_enum(kind: str, name: str) -> str:
    """Return the broker's word for an enum's value."""
    word = name.lower()
    return word.replace("_", ".", 1) if kind == "EventKind" else word


def write_enum(word: str) -> str:
    """Return the enum's value for a word of the broker."""
    return word.replace(".", "_").upper()
