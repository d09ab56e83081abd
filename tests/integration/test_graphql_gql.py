"""The Python client gql: it fetches the schema, holds its documents against it, and gets results and
errors as it expects them."""

import re

import httpx
import pytest
from gql import Client, GraphQLRequest, gql
from gql.transport.exceptions import TransportQueryError, TransportServerError
from gql.transport.httpx import HTTPXAsyncTransport, HTTPXTransport
from graphql import (
    GraphQLError,
    build_client_schema,
    get_introspection_query,
    print_schema,
)
from served import HTTP_SERVERS, Served

from broker_graphql.schema import make_schema

TABLES = """
[plugins.ratelimit.limits.looking]
rate = "2/hour"
activities = ["read"]
queues = ["scarce"]
"""

LOOK = gql("query ($name: String!) { queue(name: $name) { name counts { pending } } }")

PUBLISH = gql("""
    mutation ($messages: [MessageInput!]!) {
      publishMessages(queue: "work", messages: $messages) { messageId duplicate }
    }
""")
LEASE = gql("""
    mutation { lease(queue: "work", limit: 2) { deliveries { receipt message { id } } } }
""")
SETTLE = gql("""
    mutation ($first: String!, $second: String!) {
      settle(settlements: [{receipt: $first, kind: ACK}, {receipt: $second, kind: REJECT}]) {
        results { messageId outcome state }
      }
    }
""")


class Site:
    """A broker that knows `admin`, and clients of it."""

    def __init__(self, served):
        self.url = f"{served.url}/graphql"
        password = re.search(r"with the password (\S+)", " ".join(served.screen["notices"]))[1]
        self.rest = httpx.Client(base_url=served.url, timeout=60)
        answer = self.rest.post("/login", data={"username": "admin", "password": password})
        self.token = answer.json()["access_token"]
        self.rest.headers["authorization"] = f"Bearer {self.token}"
        for name in ("orders", "scarce"):
            self.rest.post("/queues", json={"name": name}).raise_for_status()

    def client(self, token=None, *, make=HTTPXTransport, fetches=True):
        headers = {"authorization": f"Bearer {token or self.token}"}
        transport = make(self.url, headers=headers, timeout=60)
        return Client(transport=transport, fetch_schema_from_transport=fetches)


@pytest.fixture(scope="module", params=HTTP_SERVERS)
def site(request, tmp_path_factory):
    served = Served(
        tmp_path_factory.mktemp("served"),
        plugins=["auth_jwt", "ratelimit", "graphql"],
        tables=TABLES,
        anonymous="false",
        http_server=request.param,
    )
    try:
        site = Site(served)
        yield site
        site.rest.close()
    finally:
        served.end()


def request(document, **variables):
    return GraphQLRequest(document, variable_values=variables)


def test_the_schema_that_is_fetched_is_the_one_that_is_written(site):
    with site.client() as session:
        assert print_schema(session.client.schema) == print_schema(make_schema())


def test_the_schema_is_told_to_who_asks_for_all_of_it_as_explorers_do(site):
    asked = get_introspection_query(
        specified_by_url=True,
        directive_is_repeatable=True,
        schema_description=True,
        input_value_deprecation=True,
        one_of=True,
    )

    found = site.client(fetches=False).execute(gql(asked))

    assert print_schema(build_client_schema(found)) == print_schema(make_schema())


def test_a_document_is_held_against_the_schema_before_it_is_sent(site):
    with site.client() as session:
        with pytest.raises(GraphQLError, match="Cannot query field 'nam' on type 'Queue'"):
            session.execute(gql('{ queue(name: "orders") { nam } }'))
        with pytest.raises(GraphQLError, match="String cannot represent a non string value"):
            session.execute(gql("{ queue(name: 1) { name } }"))


def test_a_query_with_variables_is_answered(site):
    with site.client() as session:
        found = session.execute(request(LOOK, name="orders"))

    assert found == {"queue": {"name": "orders", "counts": {"pending": 0}}}


async def test_the_client_that_waits_asynchronously_gets_the_same(site):
    async with site.client(make=HTTPXAsyncTransport) as session:
        found = await session.execute(request(LOOK, name="orders"))

    assert found == {"queue": {"name": "orders", "counts": {"pending": 0}}}


def test_messages_are_published_leased_and_settled(site):
    with site.client() as session:
        session.execute(gql('mutation { createQueue(name: "work") { name } }'))
        published = session.execute(request(PUBLISH, messages=[{"content": "a"}, {"content": "b"}]))
        leased = session.execute(LEASE)["lease"]["deliveries"]
        receipts = [delivery["receipt"] for delivery in leased]
        settled = session.execute(request(SETTLE, first=receipts[0], second=receipts[1]))

    ids = [one["messageId"] for one in published["publishMessages"]]
    assert [delivery["message"]["id"] for delivery in leased] == ids
    assert settled["settle"]["results"] == [
        {"messageId": ids[0], "outcome": "OK", "state": "PROCESSED"},
        {"messageId": ids[1], "outcome": "OK", "state": "FAILED"},
    ]


def test_every_field_that_is_refused_is_named(site):
    messages = [{"content": "a", "priority": 12}, {"content": "b", "ttl": -1}]
    with site.client() as session, pytest.raises(TransportQueryError) as caught:
        session.execute(request(PUBLISH, messages=messages))

    [error] = caught.value.errors
    assert error["extensions"]["code"] == "invalid"
    assert [refused["field"] for refused in error["extensions"]["errors"]] == [
        "messages[0].priority",
        "messages[1].ttl",
    ]


def test_an_error_is_raised_with_its_code_its_place_and_what_was_found_beside(site):
    document = gql('{ queue(name: "nowhere") { name } me { subject } }')
    with site.client() as session, pytest.raises(TransportQueryError) as caught:
        session.execute(document)

    assert caught.value.errors == [
        {
            "message": 'there is no queue "nowhere"',
            "locations": [{"line": 2, "column": 3}],
            "path": ["queue"],
            "extensions": {"code": "queue-not-found"},
        }
    ]
    assert caught.value.data == {"queue": None, "me": {"subject": "admin"}}


def test_who_asks_too_often_is_told_when_to_ask_again(site):
    with site.client() as session:
        session.execute(request(LOOK, name="scarce"))
        session.execute(request(LOOK, name="scarce"))
        with pytest.raises(TransportQueryError) as caught:
            session.execute(request(LOOK, name="scarce"))

    [error] = caught.value.errors
    assert error["extensions"]["code"] == "rate-limited"
    assert error["extensions"]["retry_after"] > 0


def test_what_is_refused_unexecuted_is_a_query_error_too(site):
    with pytest.raises(TransportQueryError) as caught:
        site.client(fetches=False).execute(gql("{ nothing }"))

    [error] = caught.value.errors
    assert error["extensions"]["code"] == "invalid"


def test_a_token_that_is_none_is_an_error_of_the_transport(site):
    with pytest.raises(TransportServerError) as caught:
        site.client("x.y.z", fetches=False).execute(gql("{ me { subject } }"))

    assert caught.value.code == 401


def test_a_request_that_is_too_large_is_an_error_of_the_transport(site):
    with pytest.raises(TransportServerError) as caught:
        site.client(fetches=False).execute(request(LOOK, name="x" * 2_000_000))

    assert caught.value.code == 413


def test_a_batch_is_refused(site):
    with pytest.raises(TransportServerError) as caught:
        site.client(fetches=False).execute_batch([request(LOOK, name="orders")] * 2)

    assert caught.value.code == 400
