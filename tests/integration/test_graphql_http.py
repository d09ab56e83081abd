"""GraphQL over HTTP, held against its specification, working draft of August 2026.

What it says a server must do, or must not, in its own order, and what it says one should do where
that is done here; docs/graphql.md says where it is not.
"""

import json

import pytest
from event_stream import parse

from broker import translation

PATH = "/graphql"
JSON = "application/json"
GRAPHQL_JSON = "application/graphql-response+json"
PROBLEM = "application/problem+json"
QUERY = '{ queue(name: "q") { name } }'
FOUND = {"data": {"queue": {"name": "q"}}}
UNKNOWN = '{ queue(name: "nowhere") { name } me { subject } }'
PAUSE = 'mutation { pause(queue: "q") { name } }'


@pytest.fixture
def site(serve):
    """A broker that lets everybody do everything, with the queue `q`."""
    site = serve(anonymous=True, plugins=["memory", "graphql"])
    assert site("POST", "/queues", json={"name": "q"}).status == 201
    return site


def post(site, body, *, accept=GRAPHQL_JSON, content_type=JSON, **options):
    content = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
    headers = [] if accept is None else [("accept", accept)]
    return site("POST", PATH, body=content, content_type=content_type, headers=headers, **options)


def media_type(answer):
    return answer.headers["content-type"].partition(";")[0]


def test_a_server_must_accept_post(site):
    answer = post(site, {"query": QUERY})

    assert (answer.status, answer.json) == (200, FOUND)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_other_methods_are_405_and_must_not_execute_a_mutation(site, method):
    answer = site(method, f"{PATH}?query=mutation+%7B+pause(queue%3A%22q%22)+%7Bname%7D%7D")

    assert (answer.status, answer.headers["allow"]) == (405, "POST")
    assert site("GET", "/queues/q").json["policy"]["paused"] is False


@pytest.mark.parametrize("content_type", [JSON, "application/json; charset=utf-8"])
def test_a_server_must_take_json_and_take_it_for_utf_8(site, content_type):
    answer = post(site, {"query": QUERY, "operationName": "ü"}, content_type=content_type)

    assert answer.json["errors"][0]["message"] == 'the document has no operation "ü"'


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=b",
        "application/graphql",
        "application/json; charset=latin-1",
    ],
)
def test_what_a_browser_sends_without_asking_first_is_415(site, content_type):
    """Or a page of another site could send it in the name of who looks at it."""
    answer = post(site, {"query": QUERY}, content_type=content_type)

    assert (answer.status, media_type(answer)) == (415, PROBLEM)
    assert answer.json["code"] == "unsupported-media-type"


def test_a_server_must_ignore_properties_that_it_does_not_understand(site):
    assert post(site, {"query": QUERY, "id": 7, "extra": {"deep": []}}).json == FOUND


def test_null_is_as_good_as_nothing(site):
    body = {"query": QUERY, "operationName": None, "variables": None, "extensions": None}

    assert post(site, body).json == FOUND


def test_a_server_must_support_its_own_media_type_and_say_so(site):
    answer = post(site, {"query": QUERY}, accept=GRAPHQL_JSON)

    assert answer.headers["content-type"] == f"{GRAPHQL_JSON}; charset=utf-8"


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (f"{GRAPHQL_JSON}, {JSON};q=0.9", GRAPHQL_JSON),
        (f"{JSON};q=0.5, {GRAPHQL_JSON};q=0.7", GRAPHQL_JSON),
        (f"{GRAPHQL_JSON};q=0.5, {JSON}", JSON),
        (f"{GRAPHQL_JSON};q=0, */*;q=0.1", JSON),
        (f"{JSON}; charset=utf-8", JSON),
        ("text/html, */*", JSON),
        (None, JSON),
    ],
)
def test_a_server_must_respect_accept(site, accept, chosen):
    answer = post(site, {"query": QUERY}, accept=accept)

    assert (answer.status, media_type(answer), answer.json) == (200, chosen, FOUND)


def test_who_accepts_nothing_that_there_is_is_406_and_nothing_is_executed(site):
    answer = post(site, {"query": PAUSE}, accept="text/html")

    assert (answer.status, answer.json["code"]) == (406, "not-acceptable")
    assert site("GET", "/queues/q").json["policy"]["paused"] is False


@pytest.mark.parametrize("accept", [GRAPHQL_JSON, JSON])
def test_what_has_data_must_be_2xx(site, accept):
    answer = post(site, {"query": UNKNOWN}, accept=accept)

    assert answer.status == 200
    assert answer.json["data"] == {"queue": None, "me": {"subject": "anonymous"}}
    assert answer.json["errors"][0]["extensions"] == {"code": "queue-not-found"}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"query": "{"}, "malformed"),
        ({"query": ""}, "malformed"),
        ({"query": "{ nothing }"}, "invalid"),
        ({"query": "query A { me { subject } } query B { me { subject } }"}, "invalid"),
        ({"query": QUERY, "operationName": "Other"}, "invalid"),
        ({"query": "query ($n: String!) { queue(name: $n) { name } }"}, "invalid"),
    ],
)
@pytest.mark.parametrize("accept", [GRAPHQL_JSON, JSON])
def test_what_has_no_data_must_be_4xx_and_is_a_response_all_the_same(site, accept, body, code):
    answer = post(site, body, accept=accept)

    assert (answer.status, media_type(answer)) == (400, accept)
    assert list(answer.json) == ["errors"]
    assert {error["extensions"]["code"] for error in answer.json["errors"]} == {code}
    assert all(error["message"] for error in answer.json["errors"])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"NONSENSE",
        b'{"query":',
        b'{"query": "\xff"}',
        b"[]",
        b'[{"query": "{ me { subject } }"}]',
        b'{"qeury": "{__typename}"}',
        b'{"query": 7}',
        b'{"query": "{ me { subject } }", "variables": [7]}',
    ],
)
def test_what_is_no_request_must_not_be_answered_as_graphql(site, body):
    answer = post(site, body, accept=GRAPHQL_JSON)

    assert (answer.status, media_type(answer)) == (400, PROBLEM)


def test_what_is_too_large_is_413(site):
    answer = post(site, b"x" * 2_000_000)

    assert (answer.status, media_type(answer)) == (413, PROBLEM)


@pytest.mark.parametrize("query", [QUERY, UNKNOWN, PAUSE])
def test_the_body_must_be_a_response_and_nothing_else(site, query):
    assert set(post(site, {"query": query}).json) <= {"data", "errors", "extensions"}


def test_results_are_kept_nowhere(site):
    for accept in (GRAPHQL_JSON, JSON, "text/event-stream"):
        for query in (QUERY, "{"):
            answer = post(site, {"query": query}, accept=accept)
            assert answer.headers["cache-control"] == "no-store"


def test_no_other_site_may_ask(site):
    """There is no CORS here, as everywhere else."""
    origin = ("origin", "https://other.example")
    wants = ("access-control-request-method", "POST")
    asked = site("OPTIONS", PATH, headers=[origin, wants])
    answer = site("POST", PATH, json={"query": QUERY}, headers=[origin])

    assert (asked.status, answer.status) == (405, 403)
    for headers in (asked.headers, answer.headers):
        assert not [name for name in headers if name.startswith("access-control")]


def test_one_who_reads_only_events_gets_every_result_as_events(site):
    """graphql-sse, distinct connections: what is wrong is told in the stream, too."""
    for query, status in ((QUERY, 200), (UNKNOWN, 200), ("{", 400)):
        answer = post(site, {"query": query}, accept="text/event-stream")
        result, complete = parse(answer.body)
        plain = post(site, {"query": query})

        assert (answer.status, plain.status) == (200, status)
        assert (result.name, result.json) == ("next", plain.json)
        assert (complete.name, complete.data) == ("complete", "")


def test_a_large_answer_takes_from_the_memory_that_all_share(serve, monkeypatch):
    """What changes nothing is refused when there is none, and so are leases, which come back; of
    all else, who asked has to hear."""
    monkeypatch.setattr(translation, "MAX_UNSENT_BYTES", 0)
    site = serve(anonymous=True, plugins=["memory", "graphql"])
    assert site("POST", "/queues", json={"name": "q"}).status == 201
    site.publish()
    with monkeypatch.context() as patched:
        patched.setattr(translation, "MAX_SMALL_ANSWER_BYTES", 0)
        refused = [
            post(site, {"query": query}, accept=accept)
            for query in (QUERY, 'mutation { lease(queue: "q") { deliveries { receipt } } }')
            for accept in (JSON, "text/event-stream")
        ]
        done = post(site, {"query": PAUSE})

    assert {(answer.status, answer.json["code"]) for answer in refused} == {(503, "overloaded")}
    assert (done.status, done.json) == (200, {"data": {"pause": {"name": "q"}}})
    queue = site("GET", "/queues/q").json
    assert (queue["counts"]["pending"], queue["policy"]["paused"]) == (1, True)


@pytest.mark.parametrize("accept", [JSON, "text/event-stream"])
def test_what_was_leased_for_a_client_that_is_gone_comes_back(site, accept):
    site.publish()
    lease = {"query": 'mutation { lease(queue: "q", wait: 20) { deliveries { receipt } } }'}
    headers = {"accept": accept}
    answer = site("POST", PATH, json=lease, headers=headers)
    assert site("GET", "/queues/q").json["counts"]["processing"] == 1
    assert b"receipt" in answer.body

    waiting = site.begin("POST", PATH, json=lease, headers=headers)
    waiting.reading.clear()
    site.publish()
    site.hang_up(waiting)

    counts = site("GET", "/queues/q").json["counts"]
    assert (counts["pending"], counts["processing"]) == (1, 1)


def test_answers_are_counted_under_the_route(site):
    for _ in range(3):
        post(site, {"query": QUERY})
    post(site, {"query": "{"})

    served = site.broker.served.requests()
    of_graphql = {
        status: count for (_, route, status), count in served.items() if "graphql" in route
    }
    assert of_graphql == {"200": 3, "400": 1}


def test_who_asks_under_v1_gets_the_same(site):
    assert site("POST", "/v1/graphql", json={"query": QUERY}).json == FOUND
