import json

import pytest

from broker import Forbidden, Invalid, QueueFull, QueueNotFound, Request, Unauthenticated
from broker.errors import BrokerError, FieldError, PluginFailure
from broker.problems import problem_response

REQUEST = Request(method="GET", path="/queues/q", request_id="r-1")


def leaves(kind):
    found = kind.__subclasses__()
    return [kind, *(leaf for sub in found for leaf in leaves(sub))]


def test_a_problem_says_what_failed_and_which_request_it_was():
    response = problem_response(QueueNotFound("q"), REQUEST)

    assert (response.status, response.headers) == (
        404,
        (("content-type", "application/problem+json"),),
    )
    assert json.loads(response.body) == {
        "type": "urn:replika-broker:problem:queue-not-found",
        "title": "Queue not found",
        "status": 404,
        "code": "queue-not-found",
        "detail": 'there is no queue "q"',
        "instance": "/queues/q",
        "request_id": "r-1",
    }


def test_every_refused_field_is_named():
    error = Invalid(
        [FieldError("priority", "expected 0 to 9", 12), FieldError("ttl", "is missing")]
    )

    assert json.loads(problem_response(error, REQUEST).body)["errors"] == [
        {"field": "priority", "message": "expected 0 to 9", "received": 12},
        {"field": "ttl", "message": "is missing"},
    ]


@pytest.mark.parametrize(
    ("error", "header"),
    [
        (Unauthenticated(), ("www-authenticate", "Bearer")),
        (
            Forbidden("consume:q", challenge='Bearer error="insufficient_scope"'),
            ("www-authenticate", 'Bearer error="insufficient_scope"'),
        ),
        (QueueFull("q", "max_messages is 3"), ("retry-after", "1")),
    ],
)
def test_headers_that_clients_act_on(error, header):
    assert problem_response(error, REQUEST).headers[1:] == (header,)


def test_a_missing_permission_asks_for_no_credentials_by_itself():
    assert "www-authenticate" not in dict(problem_response(Forbidden("consume:q"), REQUEST).headers)


def test_every_error_that_the_broker_raises_has_a_code_of_its_own():
    codes = [
        leaf.code
        for leaf in leaves(BrokerError)
        if leaf.__module__ == "broker.errors" and leaf is not PluginFailure
    ]

    assert len(codes) == len(set(codes))
