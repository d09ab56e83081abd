"""What streams tell, as AsyncAPI says it."""

import re
import warnings

import jsonschema
import pytest
from event_stream import Parser

with warnings.catch_warnings():  # it says "schema" where pydantic does, too
    warnings.simplefilter("ignore", UserWarning)
    from asyncapi3.models import AsyncAPI3

SCHEMES = "#/components/securitySchemes/"


@pytest.fixture
def served(serve):
    return serve(plugins=["memory", "auth_jwt", "sse"])


@pytest.fixture
def document(served):
    return served("GET", "/asyncapi.json").json


def references(value):
    if isinstance(value, dict):
        for name, one in value.items():
            yield from [one] if name == "$ref" else references(one)
    elif isinstance(value, list):
        for one in value:
            yield from references(one)


def look_up(document, reference):
    for part in reference.removeprefix("#/").split("/"):
        document = document[part]
    return document


def messages(document):
    for name, channel in document["channels"].items():
        for message in channel["messages"].values():
            yield f"{name} {message['name']}", message


def test_the_document_is_valid_asyncapi(document):
    assert document["asyncapi"] == "3.0.0"
    AsyncAPI3.model_validate(document)
    for reference in references(document):
        look_up(document, reference)


def test_what_is_no_asyncapi_is_noticed(document):
    document["servers"]["http"].pop("protocol")

    with pytest.raises(ValueError, match="protocol"):
        AsyncAPI3.model_validate(document)


def test_each_channel_is_a_route_that_sends(document):
    for name, channel in document["channels"].items():
        assert set(re.findall(r"{(\w+)}", channel["address"])) == set(channel.get("parameters", ()))
        operation = document["operations"][name]
        assert (operation["action"], operation["channel"]) == (
            "send",
            {"$ref": f"#/channels/{name}"},
        )
    told = {name for name, _ in messages(document)}
    assert told >= {
        *("stream_events open", "stream_events message.published", "stream_events stats"),
        *("stream_queue system", "stream_queue end", "stream_messages auth-expired"),
    }


def test_servers_are_wherever_the_document_came_from(document):
    servers = document["servers"]

    assert [(name, one["host"], one["protocol"]) for name, one in servers.items()] == [
        ("http", "{host}", "http"),
        ("https", "{host}", "https"),
    ]
    assert servers["http"]["variables"]["host"]["default"] == "127.0.0.1:8777"


def test_every_message_has_an_example_as_its_schema_says(document):
    for name, message in messages(document):
        [example] = message["examples"]
        schema = {**message["payload"], "components": document["components"]}
        jsonschema.Draft202012Validator(schema).validate(example["payload"])
        if name.startswith("stream_events ") and "event" in example["payload"]:
            assert example["payload"]["event"] == message["name"]


def settle(served, **settlements):
    [leased] = served.lease()
    body = {kind: [{"receipt": leased["receipt"], **more}] for kind, more in settlements.items()}
    assert served("POST", "/messages/settle", json=body).status == 200


def test_events_have_what_their_examples_have(serve):
    served = serve(plugins=["memory", "sse"], anonymous=True)
    served("POST", "/queues", json={"name": "q", "dead_letter_queue": None})
    served.publish()
    settle(served, extend={})
    served("POST", "/queues/q/purge", json={"states": ["processing"]})
    served.publish()
    settle(served, retry={"reason": "busy"})
    settle(served, release={})
    settle(served, reject={"reason": "no such customer"})
    served("POST", "/queues/q/redrive", json={})
    settle(served, ack={})
    for action in ("pause", "resume"):
        served("POST", f"/queues/q/{action}", json={})
    served("DELETE", f"/messages/{served.publish()}")
    served.publish(ttl=1)
    served.advance(60)
    served("PUT", "/queues/failures", json={})
    served("PATCH", "/queues/q", json={"dead_letter_queue": "failures"})
    served.publish()
    settle(served, reject={"reason": "no such customer"})
    told = Parser()
    pending = served.begin("GET", "/events?last_event_id=earliest")
    for piece in pending.outgoing:
        told.feed(piece.get("body", b""))
    served.hang_up(pending)

    channel = served("GET", "/asyncapi.json").json["channels"]["stream_events"]
    examples = {one["name"]: one["examples"][0]["payload"] for one in channel["messages"].values()}
    happened = {event.name: event.json for event in reversed(told.events)}  # the first of each
    assert len(happened) >= 18
    for name, event in happened.items():
        example = examples[name]
        assert set(event) == set(example), name
        for field in ("state", "reason"):
            assert event.get(field) == example.get(field), name


def test_whatever_a_route_of_events_takes_for_credentials_is_told(served, document):
    schemes = document["components"]["securitySchemes"]
    ways = {
        name: [one["$ref"].removeprefix(SCHEMES) for one in operation["security"]]
        for name, operation in document["operations"].items()
    }

    assert ways == {
        "stream_messages": ["bearer"],
        "stream_events": ["bearer", "ticket", "session"],
        "stream_queue": ["bearer", "ticket", "session"],
    }
    assert {name: (one["type"], one.get("in")) for name, one in schemes.items()} == {
        "bearer": ("http", None),
        "ticket": ("httpApiKey", "query"),
        "session": ("httpApiKey", "cookie"),
    }


def test_where_everybody_may_ask_no_credentials_are_demanded(serve):
    document = serve(plugins=["memory", "sse"], anonymous=True)("GET", "/asyncapi.json").json

    assert [one.get("security") for one in document["operations"].values()] == [None] * 3


OAUTH = """
    from broker import Authenticator, hookimpl

    class Foreign(Authenticator):
        security = {
            "sso": {"type": "oauth2", "flows": {"password": {"tokenUrl": "login", "scopes": {}}}},
            "card": {"type": "mutualTLS"},
        }

        async def authenticate(self, credentials):
            return None

    @hookimpl
    def provide_authenticator():
        return Foreign()
"""


def test_credentials_that_asyncapi_does_not_know_are_left_out(serve, install):
    install("foreign", OAUTH)
    document = serve(plugins=["memory", "foreign"])("GET", "/asyncapi.json").json

    AsyncAPI3.model_validate(document)
    assert document["components"]["securitySchemes"] == {"card": {"type": "X509"}}
    assert document["operations"]["stream_messages"]["security"] == [{"$ref": f"{SCHEMES}card"}]
