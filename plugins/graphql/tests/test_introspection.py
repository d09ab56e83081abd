"""What the endpoint tells of its schema, as graphql-core tells it of the SDL, and to whom."""

import json

import pytest
from broker_graphql.schema import make_schema, read_sdl
from graphql import build_schema, get_introspection_query, graphql_sync
from graphs import graph

ALL = get_introspection_query(
    specified_by_url=True,
    directive_is_repeatable=True,
    schema_description=True,
    input_value_deprecation=True,
)


@pytest.mark.parametrize(
    "query",
    [
        '{ __type(name: "Queue") { name fields { name args { name defaultValue } } } }',
        '{ __type(name: "Unheard") { name } }',
        '{ __type(name: "__TypeKind") { kind enumValues(includeDeprecated: true) { name } } }',
        '{ __type(name: "MessageInput") { isOneOf inputFields { name defaultValue } } }',
        "{ __schema { directives { name locations } } }",
        '{ a: __schema { __typename } b: __type(name: "ID") { __typename kind ofType { name } } }',
        "query ($deprecated: Boolean) {"
        ' __type(name: "Me") { fields(includeDeprecated: $deprecated) { name } } }',
    ],
)
async def test_a_question_about_the_schema_is_answered_as_graphql_core_does(tmp_path, query):
    async with graph(tmp_path) as one:
        assert await one.data(query) == graphql_sync(make_schema(), query).data


async def test_the_whole_schema_is_told(tmp_path):
    async with graph(tmp_path, max_tokens=10_000) as one:
        assert await one.data(ALL) == graphql_sync(build_schema(read_sdl()), ALL).data


SCHEMA_QUERIES = [
    "{ __schema { queryType { name } } }",
    '{ __type(name: "Me") { name } }',
    "{ a: __schema { queryType { name } } }",
    "{ ...f } fragment f on Query { ... { __schema { queryType { name } } } }",
    get_introspection_query(),
]


@pytest.mark.parametrize("query", SCHEMA_QUERIES)
async def test_in_production_the_schema_is_told_to_admins_alone(tmp_path, query):
    async with graph(tmp_path, environment="production") as one:
        assert await one.codes(query) == []
        one.scopes = frozenset({"read:*", "manage:*"})
        response = await one.post({"query": query})
    assert response.status == 400
    [error] = json.loads(response.body)["errors"]
    assert error["extensions"]["code"] == "introspection-disabled"


@pytest.mark.parametrize(
    ("environment", "introspection", "told"),
    [
        ("development", None, True),
        ("development", False, False),
        ("production", None, False),
        ("production", True, True),
    ],
)
async def test_the_config_counts_more_than_the_environment(
    tmp_path, environment, introspection, told
):
    config = {} if introspection is None else {"introspection": introspection}
    async with graph(tmp_path, environment=environment, **config) as one:
        one.scopes = frozenset()
        codes = await one.codes("{ __schema { queryType { name } } }")
    assert codes == ([] if told else ["introspection-disabled"])


async def test_where_the_schema_is_not_told_errors_do_not_suggest_any_of_it(tmp_path):
    async with graph(tmp_path, introspection=False) as one:
        for query, variables in (
            ("{ me { subjec } }", {}),
            ("mutation($s: [SettleKind]) { ack(id: 1) { messageId } }", {}),
            ("query($m: MessageState) { queue(name: 1) { id } }", {"m": "PENDIN"}),
        ):
            for error in (await one.ask(query, **variables))["errors"]:
                assert "Did you mean" not in error["message"]


async def test_the_name_of_a_type_is_no_question_about_the_schema(tmp_path):
    async with graph(tmp_path, introspection=False) as one:
        one.scopes = frozenset()
        assert await one.data("{ me { __typename } }") == {"me": {"__typename": "Me"}}


async def test_what_is_only_text_is_no_question_about_the_schema(tmp_path):
    async with graph(tmp_path, introspection=False) as one:
        one.scopes = frozenset({"read:*"})
        assert await one.codes('{ queue(name: "__schema") { id } }') != ["introspection-disabled"]
