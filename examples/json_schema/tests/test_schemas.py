"""Schemas are read at the start, with all that they refer to, or the start ends."""

import json

import pytest
from broker_json_schema.dialect import FORMATS
from broker_json_schema.schemas import read_schema

from broker import ConfigError

BASE = "https://acme.example/schemas"


def write(folder, **files):
    for name, schema in files.items():
        text = schema if isinstance(schema, str) else json.dumps(schema)
        (folder / f"{name}.json").write_text(text)
    return folder / "s.json"


@pytest.mark.parametrize(
    ("schema", "line"),
    [
        ({"type": "objct"}, "#/type: 'objct' is not valid under any of the given schemas"),
        ({"items": {"minLength": "1"}}, "#/items/minLength: '1' is not of type 'integer'"),
        ({"pattern": "("}, "#/pattern: '(' is not a 'regex'"),
        ([], "#: [] is not of type 'object', 'boolean'"),
        (
            "{",
            ": is no JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
        ),
        ('{"a":' * 100_000, ": is no JSON: maximum recursion depth exceeded"),
        (
            {"$schema": "http://json-schema.org/draft-07/schema#"},
            '#/$schema: expected "https://json-schema.org/draft/2020-12/schema", the only one that '
            "is understood",
        ),
        (
            {"properties": {"a/b": {"format": "date_time"}}},
            '#/properties/a~1b/format: "date_time" is checked by nobody; expected one of '
            + ", ".join(sorted(FORMATS.checkers)),
        ),
        ({"$ref": "#"}, ": it refers to itself without an end"),
        *(
            (
                {"items": {"$ref": ref}},
                f'#/items/$ref: "{ref}" is neither in this file nor another file of its folder',
            )
            for ref in (
                "#/$defs/gone",
                "gone.json",
                "other.json#/$defs/gone",
                "sub/inner.json",
                "../s/other.json",
                f"{BASE}/other.json",
                "https://json-schema.org/draft/2020-12/schema",
            )
        ),
    ],
)
def test_a_broken_schema_is_a_line_with_its_file_and_the_place(tmp_path, schema, line):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "inner.json").write_text("{}")
    file = write(tmp_path, s=schema, other={"type": "string"})

    with pytest.raises(ConfigError) as refused:
        read_schema(file)
    assert str(refused.value).startswith(f"{file}{line}")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("other", "line"),
    [
        ("{", "other.json: is no JSON: "),
        ({"type": "strng"}, "other.json#/type: 'strng' is not"),
        ({"not": {"$ref": "gone.json"}}, 'other.json#/not/$ref: "gone.json" is neither'),
    ],
)
def test_a_file_that_is_referred_to_has_to_be_whole(tmp_path, other, line):
    file = write(tmp_path, s={"items": {"$ref": "other.json"}}, other=other)

    with pytest.raises(ConfigError) as refused:
        read_schema(file)
    assert str(refused.value).startswith(f"{tmp_path}/{line}")


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError) as refused:
        read_schema(tmp_path / "s.json")
    assert str(refused.value) == f"{tmp_path}/s.json: cannot be read: No such file or directory"


def test_files_may_refer_to_each_other(tmp_path):
    schema = read_schema(
        write(
            tmp_path,
            s={"type": "object", "properties": {"next": {"$ref": "other.json#/$defs/node"}}},
            other={"$defs": {"node": {"anyOf": [{"type": "null"}, {"$ref": "s.json"}]}}},
        )
    )
    for file in tmp_path.glob("*.json"):
        file.unlink()  # everything was read

    assert schema.is_valid({"next": {"next": None}})
    assert not schema.is_valid({"next": {"next": {"next": "gone"}}})


def test_files_may_refer_to_each_other_by_their_ids(tmp_path):
    schema = read_schema(
        write(
            tmp_path,
            s={"$id": f"{BASE}/order.json", "items": {"$ref": "other.json"}},
            other={"$id": f"{BASE}/other.json", "type": "string"},
        )
    )

    assert schema.is_valid(["a"])
    assert not schema.is_valid([1])


def test_what_only_looks_like_a_reference_is_none(tmp_path):
    schema = read_schema(
        write(tmp_path, s={"const": {"$ref": "gone.json"}, "properties": {"$ref": {}}})
    )

    assert schema.is_valid({"$ref": "gone.json"})


@pytest.mark.parametrize(
    ("named", "good", "bad"),
    [
        ("date", "2026-02-28", "2026-02-29"),
        ("date-time", "2026-11-23T12:00:00.5+01:00", "2026-11-23 12:00:00"),
        ("time", "12:00:00Z", "12:00:00"),
        ("email", "ann@example.com", "ann"),
        ("hostname", "a.example", "a_b"),
        ("ipv4", "192.0.2.1", "192.0.2.256"),
        ("ipv6", "2001:db8::1", "2001:db8:::1"),
        ("uri", "https://a.example/?q#f", "/a"),
        ("uri-reference", "/a", "/a b"),
        ("uuid", "2f1a6f3c-9a4b-4c29-8a0d-0d0e62cf7c14", "2f1a6f3c9a4b4c298a0d0d0e62cf7c14"),
    ],
)
def test_formats_are_checked(tmp_path, named, good, bad):
    schema = read_schema(write(tmp_path, s={"format": named}))

    assert schema.is_valid(good)
    assert not schema.is_valid(bad)
    assert schema.is_valid(5), "a format is about texts"


def test_there_is_no_format_without_a_row_above():
    [mark] = test_formats_are_checked.pytestmark
    assert {row[0] for row in mark.args[1]} == set(FORMATS.checkers)


@pytest.mark.parametrize(
    ("items", "unique"),
    [
        ([1, 2, "1", [1], {"a": 1}], True),
        ([1, True, 0, False], True),
        ([[1], [True]], True),
        ([{"a": 1, "b": [2]}, {"b": [2.0], "a": 1.0}], False),
        ([1, 1.0], False),
        ([None, None], False),
        ("aa", True),
    ],
)
def test_items_are_unique_as_json_schema_compares(tmp_path, items, unique):
    assert read_schema(write(tmp_path, s={"uniqueItems": True})).is_valid(items) is unique
    assert read_schema(write(tmp_path, s={"uniqueItems": False})).is_valid(items)


def test_many_different_objects_are_compared_in_a_moment(tmp_path):
    schema = read_schema(write(tmp_path, s={"uniqueItems": True}))

    # Each with all others, these would take more than an hour.
    assert schema.is_valid([{"a": number} for number in range(200_000)])
