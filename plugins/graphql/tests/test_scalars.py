"""How values come in and go out: by literal and by variable, also within inputs and lists."""

import json

import pytest
from broker import Malformed
from broker_graphql.assembly import RESOLVERS
from broker_graphql.scalars import MAX_LONG
from graphs import graph

DIGITS = "9" * 5000
"""More than Python reads as an int without being told to."""

PLACES = {
    "Long": (
        'updateQueue(name: "a", policy: {}, version: %s) { id }',
        'updateQueue(name: "a", policy: {maxMessages: %s}) { id }',
    ),
    "Int": (
        'lease(queue: "a", limit: %s) { paused }',
        'updateQueue(name: "a", policy: {leaseSeconds: %s}) { id }',
        'publishMessages(queue: "a", messages: [{priority: %s}]) { messageId }',
    ),
    "Float": (
        'lease(queue: "a", wait: %s) { paused }',
        'updateQueue(name: "a", policy: {jitter: %s}) { id }',
        'settle(settlements: {receipt: "r", kind: RETRY, delay: %s}) { results { outcome } }',
    ),
    "ID": ("ack(id: %s) { outcome }",),
}
"""Fields that take a value of a type, and the value in them."""

CASES = [(kind, place) for kind, places in PLACES.items() for place in places]


@pytest.fixture
def seen(monkeypatch):
    """The arguments with which the mutations were called."""
    calls = []

    async def resolve(_, __, **arguments):
        calls.append(arguments)

    for name in ("updateQueue", "publishMessages", "lease", "settle", "ack"):
        monkeypatch.setitem(RESOLVERS, f"Mutation.{name}", resolve)
    return calls


async def ask(one, kind, place, written):
    """Put a value into its place, by literal and by variable; return the codes of both."""
    for query, variables in (
        ("mutation { %s }" % place % written, "{}"),
        ("mutation ($v: %s!) { %s }" % (kind, place % "$v"), '{"v": %s}' % written),
    ):
        body = '{"query": %s, "variables": %s}' % (json.dumps(query), variables)
        try:
            result = json.loads((await one.post(body.encode())).body)
        except Malformed as error:
            yield [error.code]
        else:
            yield [error["extensions"]["code"] for error in result.get("errors", ())]


def leaves(value):
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [leaf for one in value for leaf in leaves(one)]
    return [(type(value), value)]


@pytest.mark.parametrize(("kind", "place"), CASES)
async def test_a_value_is_read_alike_by_literal_and_by_variable(tmp_path, seen, kind, place):
    async with graph(tmp_path) as one:
        for written, value in READ[kind]:
            assert [codes async for codes in ask(one, kind, place, written)] == [[], []]
            by_literal, by_variable = seen
            assert by_literal == by_variable
            assert (type(value), value) in leaves(by_literal)
            seen.clear()


READ = {
    "Long": [
        ("0", 0),
        ("-0", 0),
        ("2147483648", 2147483648),
        (str(MAX_LONG), MAX_LONG),
        (str(-MAX_LONG), -MAX_LONG),
        ("3.0", 3),
    ],
    "Int": [("-0", 0), ("2147483647", 2147483647), ("-2147483648", -2147483648)],
    "Float": [("1", 1.0), ("-0.0", 0.0), ("1.5e3", 1500.0), ("1e308", 1e308)],
    "ID": [("4", "4"), ('"4"', "4"), ('"x y"', "x y"), ('""', "")],
}


@pytest.mark.parametrize(("kind", "place"), CASES)
async def test_a_value_of_another_type_is_refused(tmp_path, seen, kind, place):
    async with graph(tmp_path) as one:
        for written in REFUSED[kind]:
            async for codes in ask(one, kind, place, written):
                assert codes in (["invalid"], ["malformed"]), written
    assert seen == []


REFUSED = {
    "Long": [
        str(MAX_LONG + 1),
        str(-MAX_LONG - 1),
        str(2**64),
        DIGITS,
        "1.5",
        "1e400",
        "true",
        '"1"',
        "[[1]]",
        "{}",
    ],
    "Int": ["2147483648", "-2147483649", DIGITS, "1.5", "1e400", "true", '"1"', "[[1]]", "{}"],
    "Float": ["true", '"1"', DIGITS, "1e400", "-1e400", "NaN", "Infinity", "[[1]]", "{}"],
    "ID": ["1.5", "1e400", "true", "[4]", "{}"],
}


@pytest.mark.parametrize("written", ['"2026-11-23T06:00:00Z"', "0", "null"])
async def test_no_moment_is_taken(tmp_path, written):
    async with graph(tmp_path) as one:
        codes = await one.codes("query ($at: DateTime!) { __typename }", at=json.loads(written))
    assert codes[0] == "invalid"


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1795413600123, "2026-11-23T06:00:00.123Z"),
        (None, None),
    ],
)
async def test_a_moment_is_told_in_utc(tmp_path, monkeypatch, value, told):
    monkeypatch.setitem(RESOLVERS, "Me.expiresAt", lambda _, __: value)
    async with graph(tmp_path) as one:
        assert await one.data("{ me { expiresAt } }") == {"me": {"expiresAt": told}}


@pytest.mark.parametrize("value", [0, 2**31, MAX_LONG, 2**63 - 1])
async def test_a_long_is_told_as_a_number(tmp_path, monkeypatch, value):
    async def purge(_, __, **___):
        return value

    monkeypatch.setitem(RESOLVERS, "Mutation.purge", purge)
    async with graph(tmp_path) as one:
        assert await one.data('mutation { purge(queue: "a") }') == {"purge": value}
