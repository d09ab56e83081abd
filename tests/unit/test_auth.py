"""Credentials, read from what a request says."""

import pytest

from broker import Credentials, Request, Unauthenticated, read_credentials
from broker.auth import schemes_of


def asking(header):
    headers = {} if header is None else {"authorization": header}
    return Request(method="GET", path="/", headers=headers, peer="203.0.113.7")


def test_without_the_header_there_are_none():
    assert read_credentials(asking(None)) is None


@pytest.mark.parametrize(
    ("header", "scheme", "token"),
    [
        ("Bearer abc", "bearer", "abc"),
        ("  BASIC   YTpi ", "basic", "YTpi"),
        ('Digest username="a", nonce="b"', "digest", 'username="a", nonce="b"'),
    ],
)
def test_an_authorization_header_is_a_scheme_and_the_rest(header, scheme, token):
    credentials = read_credentials(asking(header))

    assert credentials == Credentials(scheme=scheme, token=token, peer="203.0.113.7")


@pytest.mark.parametrize(
    ("challenge", "schemes"),
    [
        ("", set()),
        ("Bearer", {"bearer"}),
        ('Bearer realm="a, Basic", error="invalid_token"', {"bearer"}),
        (r'Basic realm="a \", Digest", charset="UTF-8", Bearer', {"basic", "bearer"}),
        ("Negotiate YWJj==, NTLM", {"negotiate", "ntlm"}),
    ],
)
def test_the_schemes_of_a_challenge_are_told_from_their_parameters(challenge, schemes):
    assert schemes_of(challenge) == schemes


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer  ", "a/b token", "é token", ":x"])
def test_any_other_authorization_header_is_refused(header):
    with pytest.raises(Unauthenticated, match="a scheme and a token"):
        read_credentials(asking(header))
