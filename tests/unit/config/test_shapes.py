"""What a schema allows, in words."""

from collections.abc import Callable
from decimal import Decimal
from enum import Enum
from ipaddress import IPv4Address
from typing import Annotated, Any, Literal

import pytest
from pydantic import (
    AnyUrl,
    BaseModel,
    ByteSize,
    DirectoryPath,
    Field,
    SecretBytes,
    SecretStr,
    create_model,
)

from broker.config.shapes import Shape


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Tree(BaseModel):
    name: str = ""
    children: list["Tree"] = []


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (int, "an integer"),
        (Annotated[int, Field(ge=1)], "an integer of at least 1"),
        (Annotated[int, Field(gt=0, lt=5)], "an integer greater than 0 and less than 5"),
        (Annotated[int, Field(le=9, multiple_of=3)],
         "an integer of at most 9 and that is a multiple of 3"),
        (Annotated[float, Field(ge=0, le=1)], "a number from 0 to 1"),
        (bool, "true or false"),
        (str, "a string"),
        (Annotated[str, Field(max_length=3)], "a string of 0 to 3 characters"),
        (Annotated[str, Field(pattern="^a")], "a string that matches ^a"),
        (DirectoryPath, "a path of an existing directory"),
        (AnyUrl, "a URL of at least 1 character"),
        (IPv4Address, "a string (ipv4)"),
        (SecretStr, "a string"),
        (SecretBytes, "a string"),
        (Literal["a"], '"a"'),
        (Literal["a", 1], 'one of "a", 1'),
        (Colour, 'one of "red", "blue"'),
        (int | None, "an integer"),
        (int | str | int, "an integer or a string"),
        (list[int], "an array of integers"),
        (tuple[int, str], "an array, 2 of them"),
        (list[Tree], "an array of tables"),
        (Annotated[list[int], Field(min_length=1)], "an array of integers, not empty"),
        (Annotated[list[int], Field(min_length=2)], "an array of integers, at least 2 of them"),
        (Annotated[list[int], Field(max_length=2)], "an array of integers, 0 to 2 of them"),
        (ByteSize, 'a size such as "64MiB" or an integer of at least 0'),
        (list[Colour], "an array"),
        (list[int | str], "an array"),
        (dict[str, int], "a table"),
        (Tree, "a table"),
        (Any, ""),
        # What has no JSON form allows anything, and breaks nothing.
        (Callable[[], int], ""),
    ],
)  # fmt: skip
def test_a_type_is_described_in_words(annotation, words):
    model = create_model("Model", key=(annotation, ...))

    assert str(Shape.of(model).at(("key",))) == words


def test_a_type_with_a_default_that_has_no_json_form_is_described():
    model = create_model("Model", key=(Decimal | object, object()))

    assert str(Shape.of(model).at(("key",))).startswith("a number")


def test_a_shape_is_followed_through_arrays_tables_and_itself():
    shape = Shape.of(create_model("Model", trees=(dict[str, Tree], {})))

    inner = shape.at(("trees", "any", "children", 5, "children", 0))

    assert shape.keys == ["trees"]
    assert inner.keys == ["name", "children"]
    assert str(inner.at(("name",))) == "a string"
    assert not inner.at(("nothing",)).known


def test_secrets_are_known_as_such():
    model = create_model(
        "Model", a=(SecretStr, ...), b=(SecretBytes | None, None), c=(list[SecretStr], []), d=str
    )
    shape = Shape.of(model)

    assert [shape.at(path).is_secret for path in (("a",), ("b",), ("c", 0), ("d",))] == [
        True,
        True,
        True,
        False,
    ]


def test_a_length_that_is_demanded_is_known():
    class Keys(BaseModel):
        long: Annotated[SecretStr, Field(min_length=32)] | None = None
        any: SecretStr = SecretStr("")

    shape = Shape.of(Keys)

    assert shape.at(("long",)).is_bounded
    assert not shape.at(("any",)).is_bounded
    assert not shape.at(("gone",)).is_bounded
