"""How requests are read; what is refused is in hostile/."""

import hashlib
import json

import pytest

from broker import Malformed
from broker_graphql.gate.asking import Asked, read_asked
from broker_graphql.config import GraphqlConfig
from broker_graphql.gate.refusal import Refused

QUERY = "{ me { subject } }"
DIGEST = hashlib.sha256(QUERY.encode()).hexdigest()
PERSISTED = {"persistedQuery": {"version": 1, "sha256Hash": DIGEST}}


def read(body, **config):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_asked(content, GraphqlConfig(**config))


def test_a_request_is_read():
    body = {"query": QUERY, "operationName": "a", "variables": {"n": [1, {"b": None}]}}
    assert read(body) == Asked(
        query=QUERY, is_automatic=True, operation_name="a", variables={"n": [1, {"b": None}]}
    )


@pytest.mark.parametrize("variables", [None, {}])
def test_variables_may_be_null_or_none(variables):
    assert read({"query": QUERY, "variables": variables}) == read({"query": QUERY})
    assert read({"query": QUERY}).variables == {}


def test_what_else_there_is_is_not_looked_at():
    assert read({"query": QUERY, "other": [], "extensions": {"other": 1}}) == read({"query": QUERY})


def test_a_document_is_asked_for_by_its_hash():
    assert read({"documentId": f"sha256:{DIGEST}"}) == Asked(digest=DIGEST)


def test_apollo_asks_by_the_hash_and_then_with_the_text():
    asked = read({"extensions": PERSISTED})
    assert asked == Asked(digest=DIGEST, is_automatic=True)
    asked = read({"query": QUERY, "extensions": PERSISTED})
    assert (asked.query, asked.digest) == (QUERY, None)


@pytest.mark.parametrize("text", ["[[{{" * 1000, '\\"[[[[[[[[[[[[', "\\", '"', "\\\\"])
def test_what_is_in_strings_is_not_nested(text):
    variables = {"a": text, "b": "[" * 20}
    assert read({"query": QUERY, "variables": variables}).variables == variables


def test_a_string_that_ends_with_a_backslash_hides_nothing_that_is_nested():
    body = '{"query":"a","variables":{"a":"\\\\","b":%s,"c":"\\\\"}}' % ("[" * 20 + "]" * 20)
    with pytest.raises(Refused, match="max_depth"):
        read(body.encode())


def test_a_number_that_nobody_looks_at_may_be_long():
    assert read(b'{"query":"a","other":' + b"9" * 5000 + b"}").query == "a"


def test_a_name_may_come_twice_where_it_means_something_else():
    body = b'{"query":"{}","variables":{"query":{"query":1}},"extensions":{"query":2}}'
    assert read(body).variables == {"query": {"query": 1}}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("[]", "batches are not taken; send each request by itself"),
        ('{"query":"a","query":"b"}', '"query" comes twice in the request'),
        ("{}", "expected query, or documentId"),
        (
            '{"query":"a","variables":[]}',
            "expected variables: Expected `object | null`, got `array`",
        ),
        (
            '{"query":"a","operationName":1}',
            "expected a GraphQL request: Expected `str | null`, got `int` - at `$.operationName`",
        ),
        ("{", "expected JSON in UTF-8: Input data was truncated"),
    ],
)
def test_what_is_no_request_is_told_in_words(body, message):
    with pytest.raises(Malformed) as caught:
        read(body.encode())
    assert str(caught.value) == message


def test_as_much_as_is_allowed_is_read():
    body = json.dumps({"query": QUERY, "variables": {"a": [1, 2]}}, separators=(",", ":")).encode()
    variables = len('{"a":[1,2]}')
    read(body.ljust(100 + variables), max_request_bytes=100, max_variables_bytes=variables)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            {"max_request_bytes": 100},
            "max_request_bytes allows 100 bytes of a request without its variables; received 101",
        ),
        (
            {"max_variables_bytes": 10},
            "max_variables_bytes allows 10 bytes of variables; received 14",
        ),
        ({"max_depth": 1}, "max_depth allows 1 levels of values; received at least 2"),
        ({"max_values": 10}, "max_values allows 10 values; received at least 11"),
    ],
)
def test_what_is_more_than_allowed_is_refused_with_the_limit(config, message):
    variables = '{"a":[1,2,3,4,5,6,7]}' if "max_values" in config else '{"a": [1,2,3]}'
    body = '{"query":"{ me { subject } }","variables":%s,"other":1}' % variables
    with pytest.raises(Refused) as caught:
        read(body.ljust(101 + len(variables)).encode(), **config)
    assert str(caught.value) == message
