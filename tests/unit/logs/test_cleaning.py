import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.logs.cleaning import (
    LONGEST_TEXT,
    LONGEST_TRACEBACK,
    clean_field,
    clean_lines,
    clean_name,
    clean_text,
    redact,
)

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbmEifQ.c2lnbmF0dXJl"
RECEIPT = "q83vEjRWeJCrze8SNFZ4kAAAAAAAAAABAAAAAW9yZGVycw"

DANGEROUS = [
    "a\nb",
    "a\r\nb",
    "a\x00b",
    "\x1b[31mred\x1b[0m",
    "\x1b]0;title\x07",
    "\x9b31m",
    "a\u2028b",
    "a\u2029b",
    "a\x85b",
    "a\x0bb",
    "a\u202eb",
    "a\u2066b",
    "a\u200bb",
    "a\ufeffb",
    "a\udc80b",
    "a\U000e0041b",
]


@pytest.mark.parametrize("text", DANGEROUS, ids=ascii)
@pytest.mark.parametrize("clean", [clean_text, clean_name], ids=["text", "name"])
def test_nothing_is_left_that_a_terminal_or_a_reader_of_lines_obeys(text, clean):
    cleaned = clean(text)

    assert cleaned.isprintable()
    assert len(cleaned.splitlines()) == 1
    cleaned.encode()


@given(st.text(st.characters(codec=None, categories=["Cc", "Cf", "Cs", "Zl", "Zp", "L", "Zs"])))
def test_whatever_a_text_is_it_stays_one_line(text):
    for cleaned in (clean_text(text), clean_name(text)):
        assert len(cleaned.splitlines()) <= 1
        assert not [c for c in cleaned if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"}]


@pytest.mark.parametrize("text", DANGEROUS, ids=ascii)
def test_a_traceback_has_no_ends_of_lines_but_its_own(text):
    cleaned = clean_lines(f"Traceback\n  {text}")

    assert cleaned.splitlines() == cleaned.split("\n")
    assert all(line.isprintable() for line in cleaned.split("\n"))


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ("authorization: Bearer abc", "authorization: ********"),
        ("Authorization: Basic YWRtaW46YWRtaW4=", "Authorization: ********"),
        ("Proxy-Authorization: x\nHost: y", "Proxy-Authorization: ********\nHost: y"),
        ("cookie: a=1; b=2", "cookie: ********"),
        ("sent Bearer s3cr3t-s3cr3t as token", "sent Bearer ******** as token"),
        ("(b'authorization', b'Bearer abc')", "(b'authorization', ********)"),
        ("{'authorization': 'Bearer abc'}", "{'authorization': ********}"),
        ('{"password": "a\\"b", "user": "ana"}', '{"password": ********, "user": "ana"}'),
        ("password=hunter2", "password=********"),
        ("PASSWORD = 'hunter two'", "PASSWORD = ********"),
        ('password="never closed', "password=********"),
        ("GET /events?access_token=abc&queue=q", "GET /events?access_token=********&queue=q"),
        ("/x?queue=q&ticket=abc", "/x?queue=q&ticket=********"),
        ("client_secret=abc)", "client_secret=********)"),
        ("api_key=abc apikey=def", "api_key=******** apikey=********"),
        ("postgres://user:pw@host/db", "postgres://********@host/db"),
        ("redis://:p@ss@host:6379/0", "redis://********@host:6379/0"),
        (f"token {JWT} is bad", "token ******** is bad"),
        (f"receipt {RECEIPT} is stale", "receipt ******** is stale"),
        (f"secrets of programs: tAbCdEf123.{RECEIPT}", "secrets of programs: tAbCdEf123.********"),
        # what is none
        ("the password is wrong", "the password is wrong"),
        ("plugins.auth_jwt.secret: is too short", "plugins.auth_jwt.secret: is too short"),
        ("http://localhost:8777/queues", "http://localhost:8777/queues"),
        ("8f2c41d09a7b-1c took 5 ms", "8f2c41d09a7b-1c took 5 ms"),
        ("a" * 64, "a" * 64),
    ],
)
def test_secrets_are_masked_and_the_rest_stays(told, shown):
    assert redact(told) == shown


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("status", 201, 201),
        ("ratio", 0.5, 0.5),
        ("found", True, True),
        ("nothing", None, None),
        ("reason", "bad\nline", "bad\\u000aline"),
        ("access_token", "abc", "********"),
        ("Authorization", "Bearer abc", "********"),
        ("new_password", ["abc"], "********"),
        ("session_id", "abc", "********"),
        ("body", "hello", "<not told>"),
        ("content", "hello", "<not told>"),
        ("headers", {"a": "b"}, "<not told>"),
        ("piece", b"hello", "<5 bytes>"),
        ("config", {"password": "abc", "user": "ana"}, "{'password': ********, 'user': 'ana'}"),
    ],
)
def test_fields_are_told_as_far_as_they_may_be(name, value, shown):
    assert clean_field(name, value) == shown


def test_what_is_too_long_is_cut():
    assert clean_text("a " * LONGEST_TEXT) == ("a " * LONGEST_TEXT)[:LONGEST_TEXT] + "…"
    long = clean_lines("first\n" + "a b\n" * LONGEST_TRACEBACK + "last")
    assert (long.startswith("first\n"), long.endswith("\nlast")) == (True, True)
    assert len(long) < LONGEST_TRACEBACK + 10


@pytest.mark.parametrize("piece", ["a", "A1a", "token", '"', "\\", "eyJ", "://", "token='\\", " ="])
def test_no_text_takes_long(piece):
    # Rules that try again at each character would take minutes, beyond the time for a test.
    redact(piece * 100_000)
