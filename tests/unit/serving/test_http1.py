"""HTTP/1.1 as it is written: a chunk as the library would write it."""

import h11
import pytest

from broker.serving.http1 import _Reader

GET = b"GET / HTTP/1.1\r\nhost: b\r\n\r\n"
OLD_GET = b"GET / HTTP/1.0\r\nhost: b\r\n\r\n"
HEAD = b"HEAD / HTTP/1.1\r\nhost: b\r\n\r\n"


def answer(connection, request, headers, *parts):
    """Return what is written of an answer in parts."""
    connection.receive_data(request)
    connection.next_event()
    connection.next_event()
    events = [
        h11.Response(status_code=200, headers=headers),
        *(h11.Data(data=part) for part in parts),
        h11.EndOfMessage(),
    ]
    return [connection.send(event) for event in events]


@pytest.mark.parametrize(
    ("request_", "headers", "parts"),
    [
        (GET, [], [b"a", b"b" * 70_000]),
        (GET, [], [b"", b"a"]),  # a chunk of nothing would be the last
        (GET, [("content-length", "3")], [b"a", b"bc"]),
        (OLD_GET, [], [b"a", b"bc"]),
        (HEAD, [], []),
    ],
)
def test_parts_are_written_as_the_library_writes_them(request_, headers, parts):
    ours = answer(_Reader(10_000), request_, headers, *parts)

    assert ours == answer(h11.Connection(h11.SERVER), request_, headers, *parts)


def test_two_answers_of_one_connection_each_have_a_framing_of_their_own():
    connection = _Reader(10_000)
    chunked = answer(connection, GET, [], b"abc")
    connection.start_next_cycle()
    whole = answer(connection, GET, [("content-length", "3")], b"abc")

    assert (chunked[1:], whole[1:]) == ([b"3\r\nabc\r\n", b"0\r\n\r\n"], [b"abc", b""])


def test_more_than_was_announced_is_not_written():
    with pytest.raises(h11.LocalProtocolError):
        answer(_Reader(10_000), GET, [("content-length", "3")], b"abcd")
