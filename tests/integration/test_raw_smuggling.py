"""Requests of which a proxy may see another end, or another host, than the broker does."""

import re

import pytest
from raw import CLOSE, HEALTHZ, connect, talk
from served import HTTP_SERVERS, Served

HIDDEN = b"DELETE /queues/prey HTTP/1.1\r\nhost: b\r\n" + CLOSE
POST = b"POST /queues/q/messages HTTP/1.1\r\nhost: b\r\n"
CHUNKED = POST + b"transfer-encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"


@pytest.fixture(scope="module", params=HTTP_SERVERS)
def served(request, tmp_path_factory):
    served = Served(tmp_path_factory.mktemp("served"), http_server=request.param)
    served.name = request.param
    for queue in ("q", "prey"):
        served.run("queue", "create", queue)
    yield served
    assert served.end() == 0
    assert "Traceback" not in served.log()


def coded(coding, *, length=b"", name=b"transfer-encoding:"):
    return POST + length + name + b" " + coding + b"\r\n\r\n" + END


def long(length, name=b"content-length:"):
    return POST + name + b" " + length + b"\r\n\r\nabcde"


def chunk(size):
    return CHUNKED + size + b"\r\nabcde\r\n" + END


FIVE = b"content-length: 5\r\n"
TWICE = (501, 400)
"""Hypercorn says so of a transfer coding that it does not know, Granian calls it a bad request."""


# Each with what Hypercorn and Granian answer, 400 unless it is said; and then the connection ends.
DOUBTFUL = [
    # A length and a coding: Granian believes the chunks, as a proxy should.
    ("CL, TE", coded(b"chunked", length=b"content-length: 4\r\n"), (400, 201)),
    ("TE, CL", POST + b"transfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n" + END, (400, 201)),
    ("TE, TE", coded(b"chunked", length=b"transfer-encoding: chunked\r\n"), TWICE),
    ("chunked, chunked", coded(b"chunked, chunked"), TWICE),
    ("xchunked", coded(b"xchunked"), TWICE),
    ("chunked, identity", coded(b"chunked, identity"), TWICE),
    ("identity", coded(b"identity"), TWICE),
    ("identity, chunked", coded(b"identity, chunked"), TWICE),
    ("gzip, chunked", coded(b"gzip, chunked"), TWICE),
    ("no coding", coded(b""), TWICE),
    ('"chunked"', coded(b'"chunked"'), TWICE),
    ("chunked after a control", coded(b"\x0bchunked"), ()),
    ("chunked in HTTP/1.0", coded(b"chunked").replace(b"HTTP/1.1", b"HTTP/1.0"), ()),
    ("a folded coding", coded(b"\r\n chunked"), ()),
    ("a folded coding and a length", coded(b"\r\n\tchunked", length=FIVE), ()),
    (
        "a coding folded into another header",
        coded(b"chunked", name=b"x: y\r\n transfer-encoding:"),
        (),
    ),
    ("space before the colon", coded(b"chunked", name=b"transfer-encoding :"), ()),
    ("tab before the colon", coded(b"chunked", name=b"transfer-encoding\t:"), ()),
    ("a coding behind a bare CR", coded(b"chunked", name=b"x: y\rtransfer-encoding:"), ()),
    ("space before the first header", coded(b"chunked").replace(b"host", b" host"), ()),
    ("+5", long(b"+5"), ()),
    ("-5", long(b"-5"), ()),
    ("5 5", long(b"5 5"), ()),
    ("0x5", long(b"0x5"), ()),
    ("5.0", long(b"5.0"), ()),
    ("1e1", long(b"1e1"), ()),
    ("5;", long(b"5;"), ()),
    ("5,", long(b"5,"), ()),
    ("5, 6", long(b"5, 6"), ()),
    ('"5"', long(b'"5"'), ()),
    ("no length", long(b""), ()),
    ("an Arabic 5", long("\u0665".encode()), ()),
    ("5 and NUL", long(b"5\0"), ()),
    ("5 and 2**64", long(b"18446744073709551621"), (413, 400)),
    ("thirty digits", long(b"9" * 30), ()),
    ("a folded length", long(b"\r\n 5"), ()),
    ("5, then 0", long(b"0", FIVE + b"content-length:"), ()),
    ("space before the colon of a length", long(b"5", b"content-length :"), ()),
    ("chunk 0x5", chunk(b"0x5"), ()),
    ("chunk +5", chunk(b"+5"), ()),
    ("chunk -5", chunk(b"-5"), ()),
    ("chunk 5_0", chunk(b"5_0"), ()),
    ("space before a chunk's size", chunk(b" 5"), ()),
    ("no size", chunk(b""), ()),
    ("no hexadecimal digit", chunk(b"g"), ()),
    ("22 digits", chunk(b"f" * 21 + b"5"), ()),
    ("a line end in an extension", chunk(b'5;x="\r\n"'), ()),
    ("a bare LF in an extension", chunk(b"5;x\ny"), ()),
    ("a NUL after a size", chunk(b"5\0"), ()),
    ("a size that ends in LF", CHUNKED + b"5\nabcde\r\n" + END, ()),
    ("a size that ends in CR", CHUNKED + b"5\rabcde\r\n" + END, ()),
    ("a chunk without its end", CHUNKED + b"5\r\nabcde" + END, ()),
    ("a chunk that ends in LF", CHUNKED + b"5\r\nabcde\n" + END, ()),
    ("a chunk longer than said", CHUNKED + b"3\r\nabcde\r\n" + END, ()),
    ("a chunk shorter than said", CHUNKED + b"9\r\nabcde\r\n" + END, ()),
    ("a last chunk that ends in LF", CHUNKED + b"0\n\n", ()),
    ("no empty line at the end", CHUNKED + b"0\r\n", ()),
    ("a trailer that is none", CHUNKED + b"0\r\nx y\r\n\r\n", ()),
    ("NUL in a value", long(b"5", b"x: a\0b\r\ncontent-length:"), ()),
    ("NUL in a name", long(b"5", b"x\0: b\r\ncontent-length:"), ()),
    ("CR in a value", long(b"5", b"x: a\rb\r\ncontent-length:"), ()),
    ("CR in a name", long(b"5", b"x\r: b\r\ncontent-length:"), ()),
    ("no colon", long(b"5", b"x\r\ncontent-length:"), ()),
    ("no name", long(b"5", b": x\r\ncontent-length:"), ()),
    ("no host", b"GET /healthz HTTP/1.1\r\n\r\n", ()),
    ("an empty host", b"GET /healthz HTTP/1.1\r\nhost:\r\n\r\n", ()),
    ("two hosts", HEALTHZ + b"host: c\r\n\r\n", ()),
    ("the same host twice", HEALTHZ + b"host: b\r\n\r\n", ()),
    ("two hosts in one header", HEALTHZ.replace(b": b", b": b, c") + b"\r\n", ()),
    ("a user before the host", HEALTHZ.replace(b": b", b": a@b") + b"\r\n", ()),
    ("CONNECT to a host", b"CONNECT b:443 HTTP/1.1\r\nhost: b:443\r\n\r\n", ()),
    ("CONNECT to a path", HEALTHZ.replace(b"GET", b"CONNECT") + b"\r\n", ()),
    ("CONNECT to a URL", b"CONNECT http://b/healthz HTTP/1.1\r\nhost: b\r\n\r\n", ()),
    ("two spaces in the request line", HEALTHZ.replace(b" ", b"  ", 1) + b"\r\n", ()),
    ("tabs in the request line", HEALTHZ.replace(b" ", b"\t", 2) + b"\r\n", ()),
    ("HTTP/0.9", b"GET /healthz\r\n", ()),
    ("HTTP/2.0 in HTTP/1.1's words", HEALTHZ.replace(b"1.1", b"2.0") + b"\r\n", (505, 400)),
    ("HTTP/2.0's preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (505, None)),
]


def statuses(answer):
    return [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d+)", answer)]


@pytest.mark.parametrize(
    ("request_bytes", "expected"),
    [row[1:] for row in DOUBTFUL],
    ids=[row[0] for row in DOUBTFUL],
)
def test_nothing_behind_a_doubtful_request_is_served(served, request_bytes, expected):
    hypercorn, granian = expected or (400, 400)
    status = hypercorn if served.name == "hypercorn" else granian

    assert statuses(talk(served, request_bytes + HIDDEN)) == ([status] if status else [])
    assert served.run("queue", "show", "prey").exit_code == 0


# Where RFC 9112 leaves no doubt of the end, the next request is one, on both servers.
CLEAR = {
    "a length of 005": (long(b"005"), 201),
    "space around a length": (long(b"  5 "), 201),
    "the same length twice": (long(b"5", FIVE + b"content-length:"), 201),
    "chunked in capitals": (coded(b"Chunked"), 201),
    "a last chunk of 000": (CHUNKED + b"5\r\nabcde\r\n000\r\n\r\n", 201),
    "an extension": (chunk(b"5;x=y"), 201),
    "a trailer": (CHUNKED + b"0\r\nx: y\r\n\r\n", 201),
    "a trailer with a length": (CHUNKED + b"0\r\ncontent-length: 100\r\n\r\n", 201),
    "a trailer with a coding": (CHUNKED + b"0\r\ntransfer-encoding: chunked\r\n\r\n", 201),
    "a trailer with a token": (CHUNKED + b"0\r\nauthorization: Bearer x\r\n\r\n", 201),
    "a URL of another host": (b"GET http://c/healthz HTTP/1.1\r\nhost: b\r\n\r\n", 200),
    "an upgrade to HTTP/2": (
        HEALTHZ + b"connection: upgrade, http2-settings\r\nupgrade: h2c\r\n"
        b"http2-settings: AAMAAABkAAQAAP__\r\n\r\n",
        200,
    ),
    "an upgrade without settings": (HEALTHZ + b"connection: upgrade\r\nupgrade: h2c\r\n\r\n", 200),
    "an upgrade and a body": (long(b"5", b"connection: upgrade\r\nupgrade: h2c\r\ncontent-length:"), 201),
    "an upgrade to TLS": (HEALTHZ + b"connection: upgrade\r\nupgrade: TLS/1.2\r\n\r\n", 200),
}  # fmt: skip


@pytest.mark.parametrize(("request_bytes", "status"), CLEAR.values(), ids=CLEAR)
def test_a_request_of_clear_length_is_answered_and_then_the_next(served, request_bytes, status):
    answer = talk(served, request_bytes + HEALTHZ + CLOSE)

    assert statuses(answer) == [status, 200]
    assert answer.endswith(b'{"status":"ok"}')


def test_what_follows_the_last_request_is_nothing(served):
    answer = talk(served, HEALTHZ + CLOSE + HIDDEN)

    assert statuses(answer) == [200]
    assert served.run("queue", "show", "prey").exit_code == 0


def test_a_chunk_beyond_64_bits_is_not_a_short_one(served):
    with connect(served) as connection:
        connection.sendall(chunk(b"1" + b"0" * 15 + b"5") + HIDDEN)
        connection.shutdown(1)
        answer = b""
        while part := connection.recv(65_536):
            answer += part

    assert statuses(answer) in ([400], [])
    assert served.run("queue", "show", "prey").exit_code == 0
