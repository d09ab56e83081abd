"""What hostile clients send to a real server: each is refused, and the server goes on."""

import httpx
import pytest
from hostile import corpus
from served import HTTP_SERVERS, Served

CORPUS = list(corpus())


@pytest.fixture(scope="module", params=HTTP_SERVERS)
def served(request, tmp_path_factory):
    served = Served(
        tmp_path_factory.mktemp("served"), plugins=["graphql"], http_server=request.param
    )
    try:
        yield served
    finally:
        served.end()


@pytest.fixture
def client(served):
    with httpx.Client(base_url=served.url, timeout=60) as client:
        yield client


def ask(client, body):
    return client.post("/graphql", content=body, headers={"content-type": "application/json"})


def code_of(answer):
    """The code of an answer, be it GraphQL's or a problem of the core."""
    told = answer.json()
    return told["errors"][0]["extensions"]["code"] if "errors" in told else told["code"]


def test_after_each_of_them_the_same_process_answers(served, client):
    for hostile in CORPUS:
        answer = ask(client, hostile.body)
        assert (answer.status_code, code_of(answer)) == (hostile.status, hostile.code), hostile.name

        normal = ask(client, b'{"query":"{me{subject}}"}')
        assert normal.json() == {"data": {"me": {"subject": "anonymous"}}}, hostile.name
    assert served.process.poll() is None
    assert "Traceback" not in served.log()


HARMLESS = {
    "an ID of 9000 digits": "{message(id:%s){id}}" % ("9" * 9000),
    "an ID of 9000 digits as text": '{message(id:"%s"){id}}' % ("9" * 9000),
    "an ID of letters": '{messageById(id:"%s"){id}}' % ("x" * 9000),
    "a Float of 9000 digits": 'mutation{lease(queue:"a",wait:%s){paused}}' % ("9" * 9000),
    "a Float beyond all": 'mutation{lease(queue:"a",wait:1e400){paused}}',
    "a negative length": "{queues(first:-5){nodes{id}}}",
    "a name with a NUL": '{queue(name:"\\u0000"){id}}',
    "a name of 9000 letters": '{queue(name:"%s"){id}}' % ("a" * 9000),
    "a cursor of nonsense": '{queues(after:"%s"){nodes{id}}}' % ("\\u0001" * 1000),
}


@pytest.mark.parametrize("name", HARMLESS)
def test_values_that_no_field_takes_are_no_internal_error(client, name):
    answer = client.post("/graphql", json={"query": HARMLESS[name]})

    codes = [error["extensions"]["code"] for error in answer.json().get("errors", [])]
    assert "internal" not in codes
    assert codes
