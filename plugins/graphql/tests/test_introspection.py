"""What the endpoint tells of its schema, compared with what graphql-core tells of the SDL."""

import pytest
from broker_graphql.schema import SDL, make_schema
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
        assert await one.data(ALL) == graphql_sync(build_schema(SDL), ALL).data
