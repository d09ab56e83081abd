from typing import Annotated, Any

import msgspec
import pytest
from msgspec import UNSET, Meta, UnsetType

from broker import QueueName, Seconds, limits
from broker.builtin.openapi.schemas import Schemas, fields_of

Label = Annotated[str, Meta(pattern=limits.PRINTABLE_PATTERN)]


class Inner(msgspec.Struct):
    """Something."""

    count: int = 1


class Outer(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    inner: Inner
    name: QueueName
    wait: Seconds | None = None
    more: str | UnsetType = UNSET


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
    assert [(name, is_required) for name, _, is_required in fields_of(Outer)] == [
        ("inner", True),
        ("name", True),
        ("wait", False),
        ("more", False),
    ]


def test_what_is_no_json_is_there_or_not_and_never_null():
    number = {"type": "number", "minimum": 0, "maximum": limits.YEAR}

    [_, _, (_, nullable, _), _] = fields_of(Outer)
    [_, _, (_, never_null, _), _] = fields_of(Outer, nullable=False)

    assert nullable == {"anyOf": [number, {"type": "null"}], "default": None}
    assert never_null == number
