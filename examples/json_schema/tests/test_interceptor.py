"""What is refused, and how little is said of it."""

import asyncio
import json
from threading import Event

import pytest
from broker_json_schema import config_schema
from broker_json_schema.interceptor import FEW_BYTES, MOST_ERRORS, JsonSchemaInterceptor

from broker import Identity, NewMessage, Rejected

ANN = Identity(subject="ann")


@pytest.fixture
def check(tmp_path):
    """Check values against a schema; return what is refused of them, as pairs of field and text."""

    async def check(schema, *values, content_type="application/json", **options):
        (tmp_path / "s.json").write_text(json.dumps(schema))
        config = config_schema()(schemas={"q*": "s.json"}, **options)
        interceptor = JsonSchemaInterceptor(config, tmp_path)
        await interceptor.open()
        bodies = [one if isinstance(one, bytes) else json.dumps(one).encode() for one in values]
        batch = [NewMessage(queue="q", body=body, content_type=content_type) for body in bodies]
        try:
            assert await interceptor.before_publish(ANN, batch) is batch
        except Rejected as refusal:
            return [(error.field, error.message) for error in refusal.errors]
        finally:
            await interceptor.close()
        return []

    return check


@pytest.mark.parametrize(
    ("schema", "value", "said"),
    [
        ({"type": "number"}, "secret", '"" breaks "type": "number"'),
        ({"items": {"minimum": 5}}, [7, 3], '"/1" breaks "minimum": 5'),
        ({"enum": ["a", 1]}, "secret", '"" breaks "enum": ["a", 1]'),
        ({"required": ["id"]}, {"secret": 1}, "\"\" 'id' is a required property"),
        (
            {"additionalProperties": False},
            {"more": "secret"},
            "\"\" Additional properties are not allowed ('more' was unexpected)",
        ),
        ({"properties": {"a": False}}, {"a": "secret"}, '"" has what is not allowed at all'),
        ({"anyOf": [{"type": "null"}, {"type": "array"}]}, "secret", '"" breaks "anyOf"'),
        ({"const": {"a": 1}}, "secret", '"" breaks "const"'),
        (
            {"properties": {"a/b~": {"type": "null"}}},
            {"a/b~": 1},
            '"/a~1b~0" breaks "type": "null"',
        ),
        (
            {"additionalProperties": {"type": "null"}},
            {"\ud800\n\x1b[31m": 1},
            '"/\\ud800\\n\\u001b[31m" breaks "type": "null"',
        ),
        ({"multipleOf": 0.1}, 10**400, "has a number that is too large to be checked"),
    ],
)
async def test_a_refusal_names_place_and_rule_and_no_value(check, schema, value, said):
    assert await check(schema, value) == [("messages[0].content", said)]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        (b"", "Expecting value: line 1 column 1 (char 0)"),
        (b"\xff", "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"),
        (b"[NaN]", "NaN is no number"),
        (b'{"a": 1, "a": 2}', "an object has a property twice"),
        (b"[" * 100_000, "it is nested too deep"),
        (b"1" * 5000, "Exceeds the limit (4300 digits) for integer string conversion: value has"),
    ],
)
async def test_what_is_no_json_is_refused(check, body, said):
    [(field, text)] = await check(True, body)

    assert (field, text[: len(said) + 12]) == ("messages[0].content", f"is no JSON: {said}")


async def test_what_is_too_deep_for_a_schema_that_goes_on_is_refused(check):
    deep = b"[" * 900 + b"]" * 900

    assert await check({"items": {"$ref": "#"}}, deep) == [
        ("messages[0].content", "is nested too deep")
    ]


async def test_each_message_that_breaks_a_rule_is_named(check):
    refused = await check({"type": "integer"}, 1, "a", 2, "b")

    assert [field for field, _ in refused] == ["messages[1].content", "messages[3].content"]


async def test_no_more_than_some_errors_are_told(check):
    refused = await check({"items": {"type": "null"}}, *[[1] * 4] * 100)

    assert [field for field, _ in refused] == [
        *["messages[0].content"] * 4,
        *["messages[1].content"] * 4,
        *["messages[2].content"] * 2,
    ]
    assert len(refused) == MOST_ERRORS


async def test_long_names_are_cut(check):
    name = "n" * 10_000
    schema = {"additionalProperties": {"additionalProperties": False}}

    [(_, text)] = await check(schema, {name: {name: 1}})

    assert len(text) < 500


@pytest.mark.parametrize(
    ("content_type", "is_read"),
    [
        ("application/json", True),
        ("Application/JSON; charset=utf-8", True),
        ("application/cloudevents+json", True),
        ("text/plain; charset=utf-8", False),
        ("application/jsonp", False),
        ("application/octet-stream", False),
    ],
)
async def test_what_is_not_called_json_is_refused_or_passed(check, content_type, is_read):
    said = 'breaks "type"' if is_read else f'expected a content type of JSON, got "{content_type}"'

    [(_, refused)] = await check({"type": "null"}, 1, content_type=content_type)
    passed = await check({"type": "null"}, 1, content_type=content_type, not_json="pass")

    assert said in refused
    assert bool(passed) is is_read


async def test_larger_bodies_than_are_checked_are_refused(check):
    assert await check(True, b"1" * 10, max_bytes=10) == []
    assert await check(True, b"1" * 11, max_bytes=10) == [
        ("messages[0].content", "has 11 bytes; up to 10 are checked against a schema")
    ]


async def test_large_batches_are_checked_beside_all_else(check):
    large = json.dumps("a" * FEW_BYTES).encode()

    assert await check({"type": "string"}, large, large) == []
    assert await check({"type": "null"}, 1, large) == [
        ("messages[0].content", '"" breaks "type": "null"'),
        ("messages[1].content", '"" breaks "type": "null"'),
    ]


async def test_what_nobody_waits_for_any_more_is_given_up(tmp_path, monkeypatch):
    (tmp_path / "s.json").write_text("{}")
    interceptor = JsonSchemaInterceptor(config_schema()(schemas={"q": "s.json"}), tmp_path)
    await interceptor.open()
    seen, begun, gone = [], asyncio.Event(), Event()
    loop = asyncio.get_running_loop()

    def look(message, schemas):
        seen.append(message)
        loop.call_soon_threadsafe(begun.set)
        gone.wait()
        yield from ()

    monkeypatch.setattr(interceptor, "_problems", look)
    body = b" " * FEW_BYTES + b"1"
    batch = [NewMessage(queue="q", body=body, content_type="application/json")] * 3
    checking = asyncio.create_task(interceptor.before_publish(ANN, batch))
    await begun.wait()
    checking.cancel()
    await asyncio.wait([checking])
    gone.set()
    interceptor._thread.shutdown(wait=True)

    assert checking.cancelled()
    assert len(seen) == 1
