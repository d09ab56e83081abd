"""Tokens that somebody made up: rows J1 and J3 to J6 of the attack table, for the broker's own."""

import builtins
import hmac
import io
import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from broker import InvalidToken

MakeForge = Callable[..., Any]

CLAIMS = ["iss", "aud", "sub", "jti", "iat", "exp", "sid", "ver"]


@contextmanager
def cut_off(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let nothing reach a file, or another machine."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("it went to look")

    with monkeypatch.context() as patch:
        for module, name in ((builtins, "open"), (io, "open"), (os, "open"), (os, "stat")):
            patch.setattr(module, name, refuse)
        for name in ("socket", "create_connection", "getaddrinfo"):
            patch.setattr(socket, name, refuse)
        yield


@pytest.fixture
def refuse(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any, str], None]:
    """Expect that a token is refused, as every other is, and that nobody was asked about it."""

    def refuse(forge: Any, text: str) -> None:
        with cut_off(monkeypatch):
            for verify in (forge.tokens.verify_access, forge.tokens.verify_refresh):
                with pytest.raises(InvalidToken) as refused:
                    verify(text)
                assert type(refused.value) is InvalidToken
                assert str(refused.value) == "the token is not valid"

    return refuse


def test_what_is_forged_here_is_accepted_if_nothing_is_wrong_with_it(forge: Any) -> None:
    assert forge.tokens.verify_access(forge.sign(forge.header(), forge.claims())).subject == "alice"


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", "", "HS255", "hs256"])
def test_j1_a_token_without_an_algorithm_of_ours_is_refused(
    forge: Any, refuse: Any, alg: str
) -> None:
    header = forge.header(alg=alg)
    refuse(forge, forge.join(header, forge.claims()) + ".")
    refuse(forge, forge.join(header, forge.claims()))
    refuse(forge, forge.join(header, forge.claims(), b"\0"))
    refuse(forge, forge.sign(header, forge.claims()))


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
@pytest.mark.parametrize("digest", ["HS256", "HS384", "HS512"])
def test_j1_a_public_key_is_no_secret(
    make_forge: MakeForge, refuse: Any, algorithm: str, digest: str
) -> None:
    forge = make_forge(algorithm=algorithm)
    key = forge.ring.signing
    [jwk] = forge.ring.public()["keys"]
    pem = key.verifying.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    der = key.verifying.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    texts = [json.dumps(jwk), json.dumps(jwk, separators=(",", ":")), json.dumps({"keys": [jwk]})]
    for header in (forge.header(alg=digest), forge.header(alg=digest, kid=None)):
        for secret in (pem, pem.rstrip(), der, *(text.encode() for text in texts)):
            signed = forge.join(header, forge.claims())
            signature = hmac.digest(secret, signed.encode(), f"sha{digest[2:]}")
            refuse(forge, f"{signed}.{forge.join(signature)}")


@pytest.mark.parametrize("other", ["HS384", "HS512"])
def test_j1_the_algorithm_must_be_that_of_the_key(forge: Any, refuse: Any, other: str) -> None:
    secret = forge.ring.signing.private
    refuse(forge, forge.sign_with(other, secret, forge.header(alg=other), forge.claims()))
    refuse(forge, forge.sign_with(other, secret, forge.header(), forge.claims()))
    refuse(forge, forge.sign_with("HS256", secret, forge.header(alg=other), forge.claims()))


def test_j1_a_key_does_not_sign_in_the_name_of_another(make_forge: MakeForge, refuse: Any) -> None:
    old = make_forge(algorithm="HS256")
    old_header = old.header()
    forge = make_forge(algorithm="ES256")
    assert forge.ring.find(old_header["kid"]) is not None
    assert forge.ring.signing.algorithm == "ES256"
    refuse(forge, forge.sign(old_header, forge.claims()))
    refuse(forge, forge.sign(old_header | {"alg": "ES256"}, forge.claims()))
    refuse(forge, old.sign(forge.header(), forge.claims()))
    refuse(forge, old.sign(forge.header(alg="HS256"), forge.claims()))
    assert forge.tokens.verify_access(old.sign(old_header, forge.claims())).subject == "alice"


@pytest.mark.parametrize("claim", CLAIMS)
@pytest.mark.parametrize("is_null", [False, True])
def test_j3_a_token_that_lacks_a_claim_is_refused(
    forge: Any, refuse: Any, claim: str, is_null: bool
) -> None:
    claims = forge.claims()
    del claims[claim]
    refuse(forge, forge.sign(forge.header(), claims | ({claim: None} if is_null else {})))


@pytest.mark.parametrize("claim", ["exp", "iat", "nbf"])
@pytest.mark.parametrize(
    "written",
    [
        "NaN",
        "Infinity",
        "-Infinity",
        "1e400",
        "1e9",
        "1700000000.5",
        "1700000000.0",
        "true",
        '"1700000000"',
        "[1700000000]",
        "{}",
        "null",
        "-1",
        "9" * 19,
        "9" * 400,
        "9" * 5000,
        "0x7fffffff",
        "0001700000000",
    ],
)
def test_j3_a_time_that_is_no_number_of_seconds_is_refused(
    forge: Any, refuse: Any, claim: str, written: str
) -> None:
    claims = {name: value for name, value in forge.claims().items() if name != claim}
    text = f'{json.dumps(claims)[:-1]}, "{claim}": {written}}}'
    refuse(forge, forge.sign(forge.header(), text.encode()))


@pytest.mark.parametrize("claim", ["iss", "aud", "sub", "jti", "sid", "ver"])
@pytest.mark.parametrize("value", [0.5, True, [], ["replika-broker"], {}, {"a": "b"}])
def test_j3_a_claim_of_another_type_is_refused(
    forge: Any, refuse: Any, claim: str, value: object
) -> None:
    refuse(forge, forge.sign(forge.header(), forge.claims(**{claim: value})))


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"1",
        b"{",
        b"{}{}",
        b"\xff\xfe",
        b"\xef\xbb\xbf{}",
        b"[" * 5000,
        b'{"x":' + b"[" * 5000 + b"]" * 5000 + b"}",
        b'{"sub": "\\ud800"}',
    ],
)
def test_j3_what_is_no_object_of_claims_is_refused(forge: Any, refuse: Any, payload: bytes) -> None:
    refuse(forge, forge.sign(forge.header(), payload))


def test_j3_claims_nested_beyond_all_measure_do_no_harm(
    forge: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    nested = b'{"x":' + b"[" * 2500 + b"]" * 2500 + b"," + json.dumps(forge.claims()).encode()[1:]
    assert len(forge.sign(forge.header(), nested)) < 8192
    # How deep is too deep is up to Python: 3.13 reads this, and the claim is none that we look at.
    with cut_off(monkeypatch), suppress(InvalidToken):
        assert forge.tokens.verify_access(forge.sign(forge.header(), nested)).subject == "alice"


@pytest.mark.parametrize("claim", ["aud", "iss"])
@pytest.mark.parametrize(
    "value",
    [
        "other",
        "",
        "Replika-Broker",
        "replika-broker\n",
        "replika-broker ",
        "replika-broker\0",
        "replika‐broker",
        ["replika-broker"],
        ["other", "replika-broker"],
    ],
)
def test_j4_another_audience_or_issuer_is_refused(
    forge: Any, refuse: Any, claim: str, value: object
) -> None:
    refuse(forge, forge.sign(forge.header(), forge.claims(**{claim: value})))


def test_j4_a_token_that_is_over_is_refused(forge: Any, refuse: Any) -> None:
    now = forge.clock.now() // 1000
    for exp in (0, now - 3600, now - 31, now - 30):
        refuse(forge, forge.sign(forge.header(), forge.claims(exp=exp)))
    assert forge.tokens.verify_access(forge.sign(forge.header(), forge.claims(exp=now - 29)))


def test_j5_a_refresh_token_is_no_access_token_and_the_reverse(forge: Any) -> None:
    refresh = forge.tokens.issue_refresh("alice", session="s", version=1).text
    with pytest.raises(InvalidToken):
        forge.tokens.verify_access(refresh)
    access = forge.tokens.issue_access("alice", session="s", version=1)
    with pytest.raises(InvalidToken):
        forge.tokens.verify_refresh(access)


@pytest.mark.parametrize(
    "typ", [None, "", "JWT", "jwt", "AT+JWT", "application/at+jwt", "at+jwt ", ["at+jwt"], True]
)
def test_j5_a_token_of_another_type_is_refused(forge: Any, refuse: Any, typ: object) -> None:
    refuse(forge, forge.sign(forge.header(typ=typ), forge.claims()))


@pytest.mark.parametrize(
    "member",
    [
        {"jku": "https://attacker.example/jwks.json"},
        {"jku": "file:///etc/passwd"},
        {"x5u": "https://attacker.example/cert.pem"},
        {"x5c": ["MIIB"]},
        {"x5t": "abc"},
        {"jwk": {"kty": "oct", "k": "c2VjcmV0"}},
        {"crit": ["exp"]},
        {"crit": ["https://attacker.example/x"], "https://attacker.example/x": True},
        {"crit": []},
        {"crit": "exp"},
        {"crit": ["b64"], "b64": True},
        {"crit": ["b64"], "b64": False},
        {"b64": False},
        {"cty": "JWT"},
        {"zip": "DEF"},
        {"unknown": 1},
    ],
    ids=str,
)
def test_j6_a_header_that_asks_for_more_is_refused_unseen(
    forge: Any, refuse: Any, member: dict[str, object]
) -> None:
    refuse(forge, forge.sign(forge.header(**member), forge.claims()))
    header, claims, signature = forge.sign(forge.header(**member), forge.claims()).split(".")
    refuse(forge, f"{header}..{signature}")


@pytest.mark.parametrize(
    "kid",
    [
        None,
        "",
        "../../../../dev/null",
        "/dev/null",
        "..%2f..%2fauth-keys.json",
        "' OR '1'='1",
        "x'; DROP TABLE users; --",
        "$(id)",
        "a\0b",
        "k" * 5000,
        "k" * 10_240,
        7,
        True,
        ["kid"],
        {"kid": "kid"},
        "\U0001f511",
    ],
    ids=lambda kid: str(kid)[:20],
)
def test_j6_a_key_id_is_only_looked_up(forge: Any, refuse: Any, kid: object) -> None:
    refuse(forge, forge.sign(forge.header(kid=kid), forge.claims()))


def test_j6_a_key_id_is_compared_wholly(forge: Any, refuse: Any) -> None:
    kid = forge.ring.signing.kid
    for other in (kid[:-1], kid + "A", kid.swapcase(), f" {kid}", f"{kid}\n"):
        refuse(forge, forge.sign(forge.header(kid=other), forge.claims()))


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"{}",
        b"null",
        b"[]",
        b"{",
        b"\xff",
        b"[" * 5000,
        b'{"alg":' + b"[" * 5000,
        b'{"alg":"none","kid":"x","typ":"at+jwt"}',
        b'{"alg":"HS256","kid":"x","typ":"at+jwt","alg":"none"}',
    ],
)
def test_j6_what_is_no_header_is_refused(forge: Any, refuse: Any, header: bytes) -> None:
    refuse(forge, forge.sign(header, forge.claims()))


def test_j6_of_a_member_that_stands_twice_neither_reading_gives_a_way_in(
    forge: Any, refuse: Any
) -> None:
    kid = forge.ring.signing.kid
    for algs in (("HS256", "none"), ("none", "HS256")):
        header = '{{"alg":"{}","kid":"{}","typ":"at+jwt","alg":"{}"}}'.format(algs[0], kid, algs[1])
        refuse(forge, forge.join(header.encode(), forge.claims(), b""))
        refuse(forge, forge.join(header.encode(), forge.claims(), b"\0" * 32))


def test_what_is_not_three_parts_is_refused(forge: Any, refuse: Any) -> None:
    text = forge.tokens.issue_access("alice", session="s", version=1)
    header, claims, signature = text.split(".")
    compact = {"protected": header, "payload": claims, "signature": signature}
    for other in (
        "",
        ".",
        "..",
        header,
        f"{header}.{claims}",
        f"{header}.{claims}.",
        f".{claims}.{signature}",
        f"{text}.",
        f".{text}",
        f"{text}.{signature}",
        f"{text}.a.b",
        f" {text}",
        f"{text} ",
        f"{text}\n",
        f"Bearer {text}",
        f"{text},{text}",
        json.dumps(compact),
    ):
        refuse(forge, other)


def test_a_token_has_one_spelling(forge: Any, refuse: Any) -> None:
    # 32 bytes leave two bits of the last character unused, which must be 0 (RFC 4648, 3.5).
    text = forge.tokens.issue_access("alice", session="s", version=1)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    last = alphabet.index(text[-1])
    assert last % 4 == 0
    for spare in (1, 2, 3):
        refuse(forge, text[:-1] + alphabet[last + spare])
    for padding in ("=", "=="):
        refuse(forge, text + padding)
        refuse(forge, text.replace(".", f"{padding}."))
    key = forge.ring.signing
    for parts in ((b"%b ", b"%b"), (b"%b", b"%b "), (b"%b  ", b"%b"), (b"%b", b"%b  ")):
        members = [json.dumps(part).encode() for part in (forge.header(), forge.claims())]
        header, claims = (form % member for form, member in zip(parts, members, strict=True))
        assert forge.tokens.verify_access(forge.sign(header, claims)).subject == "alice"
        for part in forge.join(header, claims).split("."):
            if len(part) % 4:
                respelled = part[:-1] + alphabet[alphabet.index(part[-1]) + 1]
                signed = forge.join(header, claims).replace(part, respelled)
                signature = hmac.digest(key.private, signed.encode(), "sha256")
                refuse(forge, f"{signed}.{forge.join(signature)}")


def test_a_token_in_the_other_alphabet_of_base64_is_refused(forge: Any, refuse: Any) -> None:
    text = forge.tokens.issue_access("alice", session="s", version=1)
    while not {"-", "_"} <= set(text):
        text = forge.tokens.issue_access("alice", session="s", version=1)
    refuse(forge, text.replace("-", "+").replace("_", "/"))


def test_a_token_over_8_kib_is_refused_before_it_is_read(
    forge: Any, refuse: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    claims = forge.claims(x="")
    room = 8192 - len(forge.sign(forge.header(), claims))
    claims["x"] = "x" * (room * 3 // 4)
    text = forge.sign(forge.header(), claims)
    assert 8188 <= len(text) <= 8192
    assert forge.tokens.verify_access(text).subject == "alice"
    claims["x"] += "xxx"
    longer = forge.sign(forge.header(), claims)
    assert 8192 < len(longer) <= 8196
    monkeypatch.setattr(forge.ring, "find", lambda _: pytest.fail("it was read"))
    refuse(forge, longer)


def test_a_weak_key_is_refused_even_if_it_came_into_the_ring(forge: Any, refuse: Any) -> None:
    key = forge.ring.signing
    key.private = key.verifying = b"x" * 31
    refuse(forge, forge.sign(forge.header(), forge.claims()))
    with pytest.raises(Exception, match="31 bytes"):
        forge.tokens.issue_access("alice", session="s", version=1)


def test_nothing_of_a_token_is_in_the_error(forge: Any) -> None:
    secret = "a-name-that-is-nobody-elses-concern"
    text = forge.sign(forge.header(typ="rt+jwt"), forge.claims(sub=secret, exp=0))
    with pytest.raises(InvalidToken) as refused:
        forge.tokens.verify_refresh(text)
    told = f"{refused.value!r} {refused.value.__cause__!r} {refused.value.__context__!r}"
    assert secret not in told
    assert text not in told


def test_the_key_file_is_not_touched_by_tokens(forge: Any, tmp_path: Path) -> None:
    before = (tmp_path / "auth-keys.json").read_bytes()
    with pytest.raises(InvalidToken):
        forge.tokens.verify_access(forge.sign(forge.header(kid="new"), forge.claims()))
    assert (tmp_path / "auth-keys.json").read_bytes() == before
