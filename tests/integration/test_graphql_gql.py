"""The Python client gql: it fetches the schema, holds its documents against it, and gets results and
errors as it expects them."""

import re

import httpx
import pytest
from gql import Client, GraphQLRequest, gql
from gql.transport.exceptions import TransportQueryError, TransportServerError
from gql.transport.httpx import HTTPXAsyncTransport, HTTPXTransport
from graphql import GraphQLError
from served import HTTP_SERVERS, Served

TABLES = """
[plugins.ratelimit.limits.looking]
rate = "2/hour"
activities = ["read"]
queues = ["scarce"]
"""

LOOK = gql("query ($name: String!) { queue(name: $name) { name counts { pending } } }")


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
    with pytest.raises((TransportServerError, TransportQueryError)) as caught:
        site.client(fetches=False).execute(request(LOOK, name="x" * 2_000_000))

    assert caught.value.code == 413


def test_a_batch_is_refused(site):
    with pytest.raises(TransportServerError) as caught:
        site.client(fetches=False).execute_batch([request(LOOK, name="orders")] * 2)

    assert caught.value.code == 400
