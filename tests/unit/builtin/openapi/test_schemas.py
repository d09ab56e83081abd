from typing import Annotated, Any

import msgspec
import pytest
from msgspec import UNSET, Meta, UnsetType

from broker import QueueName, Seconds, limits
from broker.builtin.openapi.schemas import Schemas

Label = Annotated[str, Meta(pattern=limits.PRINTABLE_PATTERN)]


class Inner(msgspec.Struct):
    """Something."""

    count: int = 1


class Outer(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    inner: Inner
    """What it holds."""
    name: QueueName
    """By which it is known,
    for as long as it is there."""
    wait: Seconds | None = None
    more: str | UnsetType = UNSET


class Derived(Outer, rename="camel", kw_only=True):
    """Has more."""

    class Inner(msgspec.Struct, rename="camel"):
        """Another of the same name."""

        how_many: int
        """How many."""

    inner_one: Inner
    """What it holds beside that."""


@pytest.mark.parametrize(
    ("kind", "schema"),
    [
        # the regular expressions of ECMA 262: no \Z, and no halves of surrogates
        (QueueName, {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,254}$"}),
        (Label, {"type": "string", "pattern": r"^[^\x00-\x1f\x7f-\x9f]*$"}),
        # a whole number is a number
        (Seconds, {"type": "number", "minimum": 0, "maximum": limits.YEAR}),
        (int | str, {"anyOf": [{"type": "integer"}, {"type": "string"}]}),
        (list[Inner], {"type": "array", "items": {"$ref": "#/components/schemas/Inner"}}),
        (dict[str, Any], {"type": "object"}),
    ],
)
def test_a_type_is_told_in_words_that_everybody_reads_alike(kind, schema):
    assert Schemas([kind]).of(kind) == schema


def test_a_struct_is_told_once_under_its_name():
    schemas = Schemas([Outer, list[Outer]])

    assert schemas.of(Outer) == {"$ref": "#/components/schemas/Outer"}
    assert list(schemas.components) == ["Inner", "Outer"]
    assert schemas.components["Outer"]["required"] == ["inner", "name"]
    assert schemas.components["Outer"]["additionalProperties"] is False


def test_the_fields_of_a_struct_are_parameters():
    fields = Schemas([]).fields_of(Outer)

    assert [(field.name, field.text, field.is_required) for field in fields] == [
        ("inner", "What it holds.", True),
        ("name", "By which it is known, for as long as it is there.", True),
        ("wait", "", False),
        ("more", "", False),
    ]


def test_what_stands_below_a_field_is_told_of_what_is_inherited_and_of_namesakes_too():
    components = Schemas([Derived]).components
    texts = {
        (name.rpartition(".")[2], field): schema.get("description")
        for name, one in components.items()
        for field, schema in one["properties"].items()
    }

    assert sorted(name.rpartition(".")[2] for name in components) == ["Derived", "Inner", "Inner"]
    assert texts["Derived", "name"] == "By which it is known, for as long as it is there."
    assert texts["Derived", "innerOne"] == "What it holds beside that."
    assert texts["Inner", "howMany"] == "How many."
    assert texts["Inner", "count"] is None


def test_of_what_came_without_its_source_nothing_is_known():
    made = msgspec.defstruct("Made", [("count", int)])

    assert Schemas([made]).components["Made"]["properties"] == {"count": {"type": "integer"}}


def test_what_is_no_json_is_there_or_not_and_never_null():
    number = {"type": "number", "minimum": 0, "maximum": limits.YEAR}

    schemas = Schemas([])
    [_, _, nullable, _] = (field.schema for field in schemas.fields_of(Outer))
    [_, _, never_null, _] = (field.schema for field in schemas.fields_of(Outer, nullable=False))

    assert nullable == {"anyOf": [number, {"type": "null"}], "default": None}
    assert never_null == number
