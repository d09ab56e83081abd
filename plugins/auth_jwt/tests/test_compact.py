import json
from base64 import urlsafe_b64encode

import pytest

from broker import InvalidToken
from broker_auth_jwt.compact import MAX_TOKEN_BYTES, Header, Unverified, media_type, read_unverified

HEADER = {"alg": "RS256", "kid": "k1", "typ": "at+jwt"}
CLAIMS = {"iss": "https://id.example.com", "sub": "ann"}


def part(value):
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return urlsafe_b64encode(text).rstrip(b"=").decode()


def token(header=HEADER, claims=CLAIMS, signature=b"signed"):
    return f"{part(header)}.{part(claims)}.{part(signature)}"


def test_a_token_names_its_issuer_and_its_key():
    assert read_unverified(token()) == Unverified(
        Header(alg="RS256", kid="k1", typ="at+jwt"), "https://id.example.com"
    )


def test_a_token_without_a_type_is_a_jwt():
    assert read_unverified(token({"alg": "RS256", "kid": "k1"})).header.typ == "JWT"


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "..",
        "." * 16_384,
        "opaque-token",
        token().rpartition(".")[0],  # two parts
        token() + ".",
        token() + ".more.parts",  # five, as an encrypted token has
        token() + "=",  # base64url of RFC 7515 has no padding
        token() + "\n",
        " " + token(),
        token().replace(".", ". "),
        token(signature=b"\xfb\xff").replace("-_8", "+/8"),  # plain base64
        token(signature=b"a")[:-1] + "R",  # bits that count for nothing, but another text
        token(signature=b"abc") + "A",  # a length that no bytes have
        token() + "\u00e9",
        token() + "\ud800",
        token(b"not json"),
        token(b"\xff\xfe"),
        token(b""),
        token([]),
        token(None),
        token({"kid": "k1"}),
        token({"alg": "RS256"}),
        token({**HEADER, "alg": None}),
        token({**HEADER, "kid": 1}),
        token({**HEADER, "typ": None}),
        token(b'{"alg":"RS256","kid":"k1"}{}'),
        token(b'{"alg":"RS256","kid":"k1","x":' + b"[" * 9000),
        token(claims=b""),
        token(claims=[]),
        token(claims={"sub": "ann"}),
        token(claims={"iss": ["https://id.example.com"]}),
        token(claims=b'{"iss":"x","deep":' + b"[" * 9000),
    ],
)
def test_what_is_no_token_is_refused(text):
    with pytest.raises(InvalidToken):
        read_unverified(text)


def test_a_token_may_have_sixteen_kibibytes_and_not_a_byte_more():
    # Of this length, so that both signatures are ones that bytes can have.
    short = token(claims={**CLAIMS, "sub": "annab"}, signature=b"")
    longest = short + "A" * (MAX_TOKEN_BYTES - len(short))
    assert read_unverified(longest).issuer == "https://id.example.com"
    with pytest.raises(InvalidToken):
        read_unverified(longest + "A")


@pytest.mark.parametrize("name", ["crit", "jku", "jwk", "x5u"])
@pytest.mark.parametrize("value", [None, [], "", {}, "https://attacker.example"])
def test_a_header_that_asks_for_more_is_not_plain(name, value):
    assert read_unverified(token()).header.is_plain
    assert not read_unverified(token({**HEADER, name: value})).header.is_plain


@pytest.mark.parametrize(
    ("typ", "short"),
    [
        ("JWT", "jwt"),
        ("at+jwt", "at+jwt"),
        ("application/at+JWT", "at+jwt"),
        ("Application/JWT", "jwt"),
        ("text/jwt", "text/jwt"),
    ],
)
def test_a_type_has_one_form(typ, short):
    assert media_type(typ) == short
