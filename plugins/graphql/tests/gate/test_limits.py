"""What a document may be at most, to the last that is allowed; what is more is in hostile/."""

import pytest
from graphql import get_introspection_query, parse

from broker_graphql.config import GraphqlConfig
from broker_graphql.gate.limits import check_limits
from broker_graphql.gate.refusal import Refused


def limit_of(query, **config):
    """Return the limit that a document exceeds, with what it allows and what came, or None."""
    try:
        check_limits(parse(query), GraphqlConfig(**config))
    except Refused as refusal:
        told = refusal.errors[0]["extensions"]
        return told["limit"], told["allowed"], told["received"]
    return None


@pytest.mark.parametrize(
    "query",
    [
        "{" + "a{" * 9 + "b" + "}" * 9 + "}",
        "{a(b:" + "[" * 10 + "]" * 10 + ")}",
        "{a(b:" + "{c:[" * 5 + "]}" * 5 + ")}",
        "query($a:" + "[" * 10 + "B" + "]" * 10 + "){a}",
        "{b{" + "".join(f"a{n}:c " for n in range(15)) + "}}",
        "{" + "a " * 10 + "}",
        "{" + "...{" * 20 + "a" + "}" * 20 + "}",
        get_introspection_query(
            specified_by_url=True,
            directive_is_repeatable=True,
            schema_description=True,
            input_value_deprecation=True,
        ),
    ],
)
def test_as_much_as_a_limit_allows_is_allowed(query):
    assert limit_of(query) is None


def test_each_operation_has_its_own_root_fields():
    operations = "".join(f"query a{number}{{" + "a " * 10 + "}" for number in range(5))
    assert limit_of(operations) is None
    assert limit_of(operations + "{" + "a " * 11 + "}") == ("max_root_fields", 10, 11)


def test_a_fragment_is_followed_as_deep_as_it_stands():
    fragment = "fragment f on A{" + "a{" * 8 + "b" + "}" * 8 + "}"
    assert limit_of("{c{...f}}" + fragment) is None
    assert limit_of("{...f c{c{...f}}}" + fragment) == ("max_depth", 10, 11)


def test_a_fragment_counts_once_at_the_root_however_often_it_stands_there():
    assert limit_of("{...f ...f ...g}fragment f on A{a b c d e}fragment g on A{...f}") is None


def test_a_fragment_that_is_not_there_is_for_the_validation():
    assert limit_of("{...f}") is None


def test_the_schema_has_a_depth_of_its_own():
    deep = "{" + "ofType{" * 9 + "name" + "}" * 9 + "}"
    assert limit_of('{__type(name:"A")' + deep + "}") is None
    assert limit_of("{a" + deep + "}") == ("max_depth", 10, 11)
    assert limit_of("{__schema{a{b}}}", max_introspection_depth=2) == (
        "max_introspection_depth",
        2,
        3,
    )


def test_a_fragment_is_measured_as_part_of_the_schema_and_of_the_data():
    fragment = "fragment f on A{" + "a{" * 9 + "b" + "}" * 9 + "}"
    assert limit_of("{__schema{...f}}" + fragment) is None
    assert limit_of("{__schema{...f}c{...f}}" + fragment) == ("max_depth", 10, 11)


@pytest.mark.parametrize(
    ("query", "key"),
    [
        ("{a{b}}", "max_depth"),
        ("{a(b:[[1]])}", "max_depth"),
        ("{a:b c:d}", "max_aliases"),
        ("{a b}", "max_root_fields"),
        ("{...{...{a}}}", "max_fragments"),
    ],
)
def test_every_limit_can_be_set(query, key):
    assert limit_of(query, **{key: 1}) == (key, 1, 2)
    assert limit_of(query, **{key: 2}) is None
