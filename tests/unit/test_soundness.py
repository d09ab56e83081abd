import pytest

from broker import Identity, Stream
from broker.http import Response
from broker.soundness import check_head, check_response


class Endless(Stream):
    async def take(self):
        return b"x"


@pytest.mark.parametrize(
    "response",
    [
        Response(),
        Response(status=599, body=b"x"),
        Response(status=204),
        Response(status=304),
        Response(stream=Endless(Identity(subject="ana"))),
        Response(headers=(("content-type", "text/plain; charset=utf-8"), ("x", ""))),
        Response(headers=(("X-Tabbed", "a\tb"), ("x-umlaut", "ü"))),
    ],
)
def test_what_http_can_tell_passes(response):
    check_response(response)


@pytest.mark.parametrize(
    "response",
    [
        Response(body=None),
        Response(body="text"),
        Response(body=bytearray(b"x")),
        Response(status=204, body=b"x"),
        Response(status=304, body=b"x"),
        Response(headers=None),
        Response(headers={"a": "b"}),
        Response(headers=[("a", "b")]),
        Response(headers=("ab", "c")),
        Response(headers=(("a", "b", "c"),)),
        Response(stream=iter(())),
    ],
)
def test_what_is_no_response_does_not(response):
    with pytest.raises((TypeError, ValueError)):
        check_response(response)


@pytest.mark.parametrize(
    "status", [None, "200", 200.0, True, 0, 99, 100, 101, 199, 600, 1000, -200]
)
def test_what_is_no_status_of_a_final_answer_does_not(status):
    with pytest.raises(ValueError, match=f"^{status!r} is no status of an answer$"):
        check_head(status, ())


@pytest.mark.parametrize(
    "header",
    [
        ("a", "b\r\nc: d"),
        ("a", "b\n"),
        ("a", "b\r"),
        ("a", "\x00"),
        ("a", "\x7f"),
        ("a", " b"),
        ("a", "b\t"),
        ("a", "\ud800"),
        ("", "b"),
        ("a b", "c"),
        ("a:", "c"),
        ("a\r\nb", "c"),
        ("ä", "c"),
        (b"a", "c"),
        ("a", b"c"),
        ("a", None),
        (None, "c"),
        (["a"], "c"),
    ],
)
def test_what_is_no_header_does_not(header):
    with pytest.raises((TypeError, ValueError)):
        check_head(200, [header])
