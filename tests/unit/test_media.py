"""In which form a request comes, and its answer is wanted."""

import pytest

from broker import (
    Malformed,
    NotAcceptable,
    Request,
    UnsupportedMediaType,
    choose_type,
    demand_json,
    is_json,
    names_type,
)

OFFERED = ("text/event-stream", "application/x-ndjson")
SSE, NDJSON = OFFERED


def choose(accept):
    headers = {} if accept is None else {"accept": accept}
    return choose_type(Request(method="GET", path="/", headers=headers), OFFERED)


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, SSE),
        ("*/*", SSE),
        ("text/event-stream", SSE),
        ("application/x-ndjson", NDJSON),
        ("Application/X-NDJSON", NDJSON),
        ("text/*", SSE),
        ("application/*", NDJSON),
        ("text/html, application/x-ndjson", NDJSON),
        ("application/x-ndjson, text/event-stream", SSE),  # the same quality: the first offered
        ("text/event-stream;q=0.5, application/x-ndjson", NDJSON),
        ("text/event-stream; q=0.5 , application/x-ndjson ;q=0.4", SSE),
        ("*/*;q=0.1, application/x-ndjson;q=0.2", NDJSON),
        # the range that names a type most exactly counts, whatever a wider one says
        ("*/*, text/event-stream;q=0", NDJSON),
        ("text/event-stream;q=nonsense, */*;q=0.1", NDJSON),
        ("text/event-stream;q=7, application/x-ndjson", SSE),
    ],
)
def test_the_type_is_the_one_that_is_wanted_most(accept, chosen):
    assert choose(accept) == chosen


@pytest.mark.parametrize(
    "accept", ["", "text/html", "text/html, image/*", "*/*;q=0", "text/event-stream;q=-1", ";", ","]
)
def test_who_takes_none_of_them_is_told_what_there_is(accept):
    with pytest.raises(NotAcceptable) as refused:
        choose(accept)

    assert str(refused.value) == (
        f'expected an Accept that takes text/event-stream or application/x-ndjson, got "{accept}"'
    )


@pytest.mark.parametrize(
    ("accept", "answer"),
    [
        ("text/event-stream", True),
        ("application/json, Text/Event-Stream; q=0.1", True),
        ("text/event-stream;q=0", False),
        ("text/*", False),
        ("*/*", False),
        (None, False),
    ],
)
def test_who_names_a_type_knows_what_comes(accept, answer):
    headers = {} if accept is None else {"accept": accept}

    assert names_type(Request(method="GET", path="/", headers=headers), SSE) is answer


@pytest.mark.parametrize(
    ("content_type", "answer"),
    [
        ("application/json", True),
        ("application/json;charset=utf-8", True),
        ('Application/Json ; CharSet="UTF-8"', True),
        ("application/json; version=1", True),
        ("application/json; charset=utf-16", False),
        ("application/json; charset", False),
        ("application/problem+json", False),
        ("text/json", False),
        ("", False),
        (None, False),
    ],
)
def test_json_is_called_by_its_name(content_type, answer):
    assert is_json(content_type) is answer


def post(body, **headers):
    return Request(method="POST", path="/", body=body, headers=headers)


def test_a_body_is_demanded_and_that_it_says_that_it_is_json():
    demand_json(post(b"{}", **{"content-type": "application/json"}))
    with pytest.raises(Malformed, match="the body is empty; expected JSON"):
        demand_json(post(b""))
    with pytest.raises(UnsupportedMediaType) as refused:
        demand_json(post(b"{}", **{"content-type": "text/plain"}))
    assert str(refused.value) == 'expected the Content-Type application/json, got "text/plain"'
    with pytest.raises(UnsupportedMediaType, match="got nothing"):
        demand_json(post(b"{}"))
