"""What a transport is asked for: with what is put in, and how it is sent."""

import pytest

from broker.testing import Probe


def test_a_request_is_a_method_and_a_path_with_its_query():
    assert Probe(request="GET /things?a=b c").line == ("GET", "/things?a=b c")


@pytest.mark.parametrize(
    ("probe", "is_about_a_lease"),
    [
        (Probe(request="GET /things/q"), False),
        (Probe(request="GET /things/<id>"), True),
        (Probe(request="POST /things", json={"ack": [{"receipt": "<receipt>"}]}), True),
        (Probe(request="POST /things", body="ack <receipt>"), True),
        (Probe(request="POST /things", body=b"ack <id>"), True),
        (Probe(request="POST /things", body=b"\xff"), False),
    ],
)
def test_a_lease_is_made_for_what_stands_for_one(probe, is_about_a_lease):
    assert probe.is_about_a_lease() is is_about_a_lease


def test_what_stands_for_a_lease_is_replaced_everywhere():
    probe = Probe(
        request="POST /things/<id>/ack?receipt=<receipt>",
        json={"id": "<id>", "text": "message <id>", "all": [{"receipt": "<receipt>"}], "n": 1},
        body="<receipt> of <id>",
        queue="q",
    )

    filled = probe.filled("r-1", 7)

    assert filled.line == ("POST", "/things/7/ack?receipt=r-1")
    assert filled.json == {"id": 7, "text": "message 7", "all": [{"receipt": "r-1"}], "n": 1}
    assert (filled.body, filled.queue) == ("r-1 of 7", "q")


def test_bytes_are_filled_as_texts_are():
    assert Probe(request="POST /", body=b"\xff <id>").filled("r", 7).body == b"\xff 7"


@pytest.mark.parametrize(
    ("path", "expected"), [("/", "/v1"), ("/things", "/v1/things"), ("/a?b=c", "/v1/a?b=c")]
)
def test_a_probe_below_a_prefix_is_the_same_otherwise(path, expected):
    probe = Probe(request=f"GET {path}", queue="q", status=204)

    assert probe.at("/v1") == Probe(request=f"GET {expected}", queue="q", status=204)


def test_a_probe_is_sent_with_what_it_has_unless_a_test_says_otherwise():
    probe = Probe(request="POST /", body="tea", headers={"a": "1", "b": "2"})

    sent = probe.options(token="t", body="", headers={"b": "3"})

    assert sent == {"json": None, "body": "", "headers": {"a": "1", "b": "3"}, "token": "t"}
