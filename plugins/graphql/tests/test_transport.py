"""The endpoint: what is taken, and in which form it is answered."""

import json

import pytest

from broker import Malformed, NotAcceptable, Unauthenticated, UnsupportedMediaType
from broker_graphql.event_stream import EventStream
from graphs import graph

ME = {"query": "{ me { subject } }"}
MINE = {"data": {"me": {"subject": "somebody"}}}
EVENTS = {"query": "subscription { events { queue } }"}
JSON = "application/json"
GRAPHQL_JSON = "application/graphql-response+json; charset=utf-8"
EVENT_STREAM = "text/event-stream"


def parse(response):
    """Return the events of an answer as graphql-sse has them, which are nothing but that."""
    *blocks, rest = response.body.decode().split("\n\n")
    assert rest == ""
    events = []
    for block in blocks:
        name, data = block.split("\n")
        assert name.startswith("event: ")
        assert data.startswith("data: ")
        events.append((name[7:], json.loads(data[6:]) if data[6:] else None))
    return events


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (None, JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        ("application/json", JSON),
        ("application/graphql-response+json", GRAPHQL_JSON),
        ("application/graphql-response+json, application/json;q=0.9", GRAPHQL_JSON),
        ("application/json, text/event-stream", JSON),
        ("text/event-stream", EVENT_STREAM),
        ("text/*", EVENT_STREAM),
    ],
)
async def test_a_result_comes_in_the_form_that_is_wanted(tmp_path, accept, content_type):
    headers = {} if accept is None else {"accept": accept}
    async with graph(tmp_path) as one:
        good = await one.post(ME, **headers)
        bad = [await one.post({"query": query}, **headers) for query in ("{ nothing }", "{")]

    for response in (good, *bad):
        assert response.headers == (("content-type", content_type), ("cache-control", "no-store"))
    if content_type == EVENT_STREAM:
        results = []
        for response in (good, *bad):
            (name, result), complete = parse(response)
            assert (name, complete, response.status) == ("next", ("complete", None), 200)
            results.append(result)
    else:
        results = [json.loads(response.body) for response in (good, *bad)]
        assert [response.status for response in (good, *bad)] == [200, 400, 400]
    assert results[0] == MINE
    assert [list(result) for result in results[1:]] == [["errors"]] * 2


@pytest.mark.parametrize("accept", ["text/html", "application/xml, image/*", "*/*;q=0"])
async def test_who_takes_no_form_is_told_which_there_are(tmp_path, accept):
    async with graph(tmp_path) as one:
        with pytest.raises(NotAcceptable) as refused:
            await one.post(ME, accept=accept)
    assert str(refused.value) == (
        "expected an Accept that takes application/json or application/graphql-response+json or "
        f'text/event-stream, got "{accept}"'
    )


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/graphql",
        "application/json; charset=utf-16",
        "",
    ],
)
async def test_only_what_is_called_json_is_taken(tmp_path, content_type):
    async with graph(tmp_path) as one:
        with pytest.raises(UnsupportedMediaType):
            await one.post(ME, **{"content-type": content_type})


async def test_a_body_is_missed(tmp_path):
    async with graph(tmp_path) as one:
        with pytest.raises(Malformed, match="the body is empty; expected JSON"):
            await one.post(b"")


async def test_who_asks_is_found_out_before_anything_else(tmp_path):
    async def identify(credentials, *, peer):
        raise Unauthenticated

    async with graph(tmp_path) as one:
        one.broker.identify = identify
        with pytest.raises(Unauthenticated):
            await one.post(b"nonsense", accept="text/html", **{"content-type": "text/plain"})


async def test_a_subscription_is_answered_again_and_again(tmp_path):
    async with graph(tmp_path) as one:
        response = await one.post(EVENTS, accept=EVENT_STREAM)

    assert response.headers == (("content-type", EVENT_STREAM),)
    assert isinstance(response.stream, EventStream)


@pytest.mark.parametrize("accept", [None, "*/*", "text/*", "application/json"])
async def test_who_subscribes_has_to_know_what_comes(tmp_path, accept):
    async with graph(tmp_path) as one:
        with pytest.raises(NotAcceptable) as refused:
            await one.post(EVENTS, **({} if accept is None else {"accept": accept}))
    assert str(refused.value) == (
        "a subscription is answered with text/event-stream; name that in the header Accept"
    )


async def test_a_subscription_that_is_refused_is_told_so_in_its_stream(tmp_path):
    document = 'subscription { mine: events(queue: "") { queue } }'
    async with graph(tmp_path) as one:
        response = await one.post({"query": document}, accept="application/json, text/event-stream")
    (name, result), complete = parse(response)

    assert (name, complete, response.status) == ("next", ("complete", None), 200)
    [error] = result["errors"]
    assert error["path"] == ["mine"]
    assert error["extensions"]["code"] == "invalid"
    assert len(one.transport.executor.events.audience) == 0


async def test_the_answer_to_a_query_may_be_withheld_and_that_to_a_mutation_not(tmp_path):
    async with graph(tmp_path) as one:
        looked = await one.post(ME)
        changed = await one.post({"query": 'mutation { pause(queue: "q") { name } }'})
        await looked.undelivered()

    assert changed.undelivered is None


async def test_what_is_quoted_of_a_value_is_not_all_of_it(tmp_path):
    query = 'query ($state: MessageState!) { queue(name: "a") { messages(state: [$state]) { nodes { id } } } }'
    async with graph(tmp_path) as one:
        [error] = (await one.ask(query, state="X" * 100_000))["errors"]
    assert error["message"].startswith("Variable '$state' has invalid value")
    assert len(error["message"]) == 1001
