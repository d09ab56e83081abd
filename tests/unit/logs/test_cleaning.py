import unicodedata
from http import HTTPStatus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.logs import cleaning
from broker.logs.cleaning import (
    LONGEST_NAME,
    LONGEST_TEXT,
    LONGEST_TRACEBACK,
    clean_lines,
    clean_name,
    clean_text,
    redact,
    take_field,
    take_lines,
    take_name,
    take_text,
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
        ("{'x-api-key': 'hunter2'}", "{'x-api-key': ********}"),
        ("(b'x-api-key', b'hunter2')", "(b'x-api-key', ********)"),
        ("X-Api-Key: hunter2\nHost: y", "X-Api-Key: ********\nHost: y"),
        ("session-id=abc", "session-id=********"),
        ("{'access-token-old': 'abc'}", "{'access-token-old': ********}"),
        ("pwd=abc PWD='a b'", "pwd=******** PWD=********"),
        ("private_key=abc privateKey=def", "private_key=******** privateKey=********"),
        (
            "a -----BEGIN EC PRIVATE KEY-----\nMHc\n-----END EC PRIVATE KEY-----\nb",
            "a -----BEGIN EC PRIVATE KEY-----********-----END EC PRIVATE KEY-----\nb",
        ),
        ("-----BEGIN PRIVATE KEY-----\\nMHc", "-----BEGIN PRIVATE KEY-----********"),
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
        ("keys of the api: 3", "keys of the api: 3"),
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
        ("x-api-key", "abc", "********"),
        ("pwd", "abc", "********"),
        ("private-key", "abc", "********"),
        ("secret_pin", 1234, "********"),
        ("secret_share", 0.5, "********"),
        ("has_secret", True, True),
        ("secret", None, None),
        ("level", HTTPStatus.OK, 200),  # readers of JSON know no such types
        ("large", 2**64, "18446744073709551616"),
        ("share", float("nan"), "nan"),
        ("body", "hello", "<not told>"),
        ("content", "hello", "<not told>"),
        ("headers", {"a": "b"}, "<not told>"),
        ("piece", b"hello", "<5 bytes>"),
        ("config", {"password": "abc", "user": "ana"}, "{'password': ********, 'user': 'ana'}"),
    ],
)
def test_fields_are_told_as_far_as_they_may_be(name, value, shown):
    taken = take_field(name, value)

    assert (clean_text(taken) if isinstance(taken, str) else taken) == shown
    assert type(taken) in {str, int, float, bool, type(None)}


def test_what_is_too_long_is_cut():
    text = "a " * LONGEST_TEXT
    assert clean_text(take_text(text)) == clean_text(text) == text[:LONGEST_TEXT] + "…"
    name = "a" * 2 * LONGEST_NAME
    assert clean_name(take_name(name)) == clean_name(name) == name[:LONGEST_NAME] + "…"


def test_of_a_traceback_that_is_too_long_the_middle_is_cut():
    lines = ["first", *["a b"] * LONGEST_TRACEBACK, "z " * LONGEST_TEXT + "beyond", "last"]
    told = clean_lines(take_lines("\n".join(lines))).split("\n")

    assert (told[:2], told[-1]) == (["first", "a b"], "last")
    assert told[-2] == "z " * (LONGEST_TEXT // 2) + "…"
    assert set(told[1:-2]) == {"a b", "…"}
    assert len("\n".join(told)) < LONGEST_TRACEBACK + 10


CUT = [
    ("Bearer ", "s3cr3t-s3cr3t-s3cr3t"),
    ("token=", "s3cr3ts3cr3t"),
    ("password='", "correct horse battery'"),
    ("postgres://", "user:hunter2hunter2@host"),
    ("got ", RECEIPT),
    ("got ", JWT),
]


@pytest.mark.parametrize(("before", "secret"), CUT)
def test_a_secret_that_is_cut_is_masked_all_the_same(before, secret):
    hidden = {secret.removesuffix("@host")[at : at + 6] for at in range(len(secret) - 10)}
    for kept in range(len(secret) + 1):
        text = ("a " * LONGEST_TEXT)[: LONGEST_TEXT - kept - len(before)] + before + secret
        for told in (clean_text(take_text(text + " b" * 99)), clean_lines(take_lines(text + " b"))):
            assert not [part for part in hidden if part in told], (kept, told[-60:])


@pytest.mark.parametrize("take", [take_text, take_lines])
def test_nothing_is_looked_through_before_it_is_written_and_then_no_more_than_is_kept(
    take, monkeypatch
):
    looked_at = []
    monkeypatch.setattr(cleaning, "redact", lambda text: looked_at.append(len(text)) or text)
    taken = take("ab-" * 100_000 + "\n" + "ab-\n" * 100_000)
    assert looked_at == []

    clean_lines(taken)
    clean_text(taken)
    assert all(length <= LONGEST_TRACEBACK + 3 for length in looked_at)
    assert looked_at[1] <= LONGEST_TEXT + 1
