import asyncio
import json
import logging
import subprocess
import sys
from base64 import urlsafe_b64decode, urlsafe_b64encode
from contextlib import asynccontextmanager

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from foreign_issuer import ForeignIssuer, Signer
from hypothesis import given, settings
from hypothesis import strategies as st

from broker import InvalidToken, Unavailable
from broker.testing import ManualClock
from broker.testing.clock import START
from broker_auth_jwt.issuer_config import IssuerConfig
from broker_auth_jwt.issuers import Issuers
from broker_auth_jwt.scopes import SHIPPED_ROLES, Roles

NOW = START // 1000
ISS = "https://id.example.com"
CLAIMS = {"iss": ISS, "sub": "ann", "aud": "orders", "iat": NOW, "exp": NOW + 300}
SIGNER = Signer("k1")


def config_of(issuer, /, **options):
    defaults = {
        "name": "acme",
        "issuer": ISS,
        "jwks_url": issuer.url,
        "audience": "orders",
        "grants": {"producer": ["producer"]},
    }
    return IssuerConfig(**{**defaults, **options})


@asynccontextmanager
async def opened(*configs, clock=None):
    issuers = Issuers(
        configs,
        roles=Roles(SHIPPED_ROLES),
        leeway_ms=30_000,
        clock=clock or ManualClock(),
        logger=logging.getLogger("broker.plugins.auth_jwt"),
    )
    await issuers.open()
    try:
        yield issuers
    finally:
        await issuers.close()


def verified(text, *, jwks=None, **options):
    """Verify one token of an issuer that lives as long as that takes."""

    async def verify():
        async with (
            ForeignIssuer(*(jwks or [SIGNER.jwk()])) as issuer,
            opened(config_of(issuer, **options)) as issuers,
        ):
            return await issuers.verify(text)

    return asyncio.run(verify())


def test_a_token_of_keycloak():
    signer = Signer("9Yc3ibZ1Kn_vqWqKH5Aym0jQhJqTtEP5w4aLZ1Yd0qE")
    encryption = Signer("enc").jwk(use="enc", alg="RSA-OAEP")
    iss = "https://id.example.com/realms/acme"
    token = signer.sign(
        {
            "exp": NOW + 300,
            "iat": NOW,
            "auth_time": NOW - 60,
            "jti": "onrtac:84a1f7ff-9ca6-4f33-a4b6-2a2fca7b0ea0",
            "iss": iss,
            "aud": ["replika-broker", "account"],
            "sub": "f2b7e3ca-3a33-4c25-9ab4-9fd8b0d7ef1c",
            "typ": "Bearer",
            "azp": "shop",
            "sid": "c1a6d9b4-9b3a-4f3c-9a90-0a52f9d1a9d0",
            "acr": "1",
            "realm_access": {"roles": ["offline_access", "order-writer", "uma_authorization"]},
            "resource_access": {"account": {"roles": ["manage-account"]}},
            "scope": "openid email profile",
            "preferred_username": "ann",
        },
        typ="JWT",
    )
    who = verified(
        token,
        jwks=[encryption, signer.jwk()],
        name="keycloak",
        issuer=iss,
        audience="replika-broker",
        claims=["realm_access.roles"],
        grants={"order-writer": ["publish:orders-*", "viewer"]},
    )
    assert who.subject == "keycloak:f2b7e3ca-3a33-4c25-9ab4-9fd8b0d7ef1c"
    assert who.scopes == {"publish:orders-*", "read:*"}
    assert who.expires_at == START + 300_000


def test_a_token_of_auth0():
    signer = Signer("NjVBRjY5MDlCMUIwNzU4RTA2QzZFMDQ4QzQ2MDAyQjVDNjk1RTM2Qg")
    token = signer.sign(
        {
            "https://example.com/roles": ["order writer"],
            "iss": "https://acme.eu.auth0.com/",
            "sub": "auth0|64fd0c5e9a7b1e0c5c7f0a11",
            "aud": ["https://broker.example.com", "https://acme.eu.auth0.com/userinfo"],
            "iat": NOW,
            "exp": NOW + 86_400,
            "azp": "hXyfO8Qv6Dn0wE7cq2VbYk",
            "scope": "openid profile",
            "permissions": ["read:orders"],
        },
        typ="at+jwt",
    )
    who = verified(
        token,
        jwks=[signer.jwk(x5t="NjVB", x5c=["MIID"])],
        name="auth0",
        issuer="https://acme.eu.auth0.com/",
        audience="https://broker.example.com",
        claims=["https://example.com/roles", "permissions"],
        grants={"order writer": ["publish:orders-*"], "read:orders": ["read:orders-*"]},
    )
    assert who.subject == "auth0:auth0|64fd0c5e9a7b1e0c5c7f0a11"
    assert who.scopes == {"publish:orders-*", "read:orders-*"}


def test_a_token_of_entra():
    signer = Signer("H9nj5AOSswMphg1SFx7jaV-lB9w")
    iss = "https://login.microsoftonline.com/72f988bf-86f1-41af-91ab-2d7cd011db47/v2.0"
    token = signer.sign(
        {
            "aud": "6e74172b-be56-4843-9ff4-e66a39bb12e3",
            "iss": iss,
            "iat": NOW,
            "nbf": NOW,
            "exp": NOW + 4000,
            "azp": "11111111-2222-3333-4444-555555555555",
            "oid": "690222be-ff1a-4d56-abd1-7e4f7d38e474",
            "roles": ["Orders.Consume"],
            "scp": "Orders.Read Orders.Send",
            "sub": "rFTDSqnhgjVdbgW1JQ-5xg8b1l7a2VvBOWB1lSpbVlA",
            "tid": "72f988bf-86f1-41af-91ab-2d7cd011db47",
            "uti": "fqiBqXLPj0eQa82S-IYFAA",  # not jti
            "ver": "2.0",
        },
        typ="JWT",
        x5t="H9nj5AOSswMphg1SFx7jaV-lB9w",
    )
    who = verified(
        token,
        jwks=[signer.jwk(alg=None, issuer=iss)],  # Entra's keys do not say their algorithm
        name="entra",
        issuer=iss,
        audience="6e74172b-be56-4843-9ff4-e66a39bb12e3",
        grants={"Orders.Consume": ["consume:orders-*"], "Orders.Send": ["publish:orders-*"]},
    )
    assert who.subject == "entra:rFTDSqnhgjVdbgW1JQ-5xg8b1l7a2VvBOWB1lSpbVlA"
    assert who.scopes == {"consume:orders-*", "publish:orders-*"}


def test_a_token_of_okta():
    signer = Signer("Wn3jKq8mvVbJbyPLbgVYl3TfoVNPYBJSgI4ZqW0Wl4Q")
    token = signer.sign(
        {
            "ver": 1,
            "jti": "AT.0mP4JKAZX1iACIT4vbEDF7LpvDVjxypPMf0D7uX39RE",
            "iss": "https://acme.okta.com/oauth2/default",
            "aud": "api://broker",
            "sub": "ann@example.com",
            "iat": NOW,
            "exp": NOW + 3600,
            "cid": "nmdP1fcyvdVO11AL7ECm",
            "uid": "00ugrenMeqvYla4HW0g3",
            "scp": ["openid", "orders.send"],
        },
        typ=None,  # Okta's have none
    )
    who = verified(
        token,
        jwks=[signer.jwk()],
        name="okta",
        issuer="https://acme.okta.com/oauth2/default",
        audience="api://broker",
        grants={"orders.send": ["publish:orders-*"]},
    )
    assert who.subject == "okta:ann@example.com"
    assert who.scopes == {"publish:orders-*"}


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA", "PS256", "ES384"])
def test_tokens_may_be_signed_by_every_allowed_algorithm(algorithm):
    signer = Signer("k1", algorithm)
    token = signer.sign(CLAIMS)
    assert verified(token, jwks=[signer.jwk()], algorithms=[algorithm]).subject == "acme:ann"


def test_only_what_is_mapped_is_granted():
    claims = {**CLAIMS, "scope": "admin publish:* manage:*", "roles": ["admin"]}
    who = verified(SIGNER.sign(claims))
    assert (who.subject, who.scopes) == ("acme:ann", frozenset())


def test_only_the_configured_claims_are_looked_at():
    claims = {**CLAIMS, "scope": "producer", "groups": ["producer"]}
    assert verified(SIGNER.sign(claims), claims=["roles"]).scopes == frozenset()
    assert verified(SIGNER.sign(claims), claims=["groups"]).scopes == {"publish:*"}


def without(claim):
    return {name: value for name, value in CLAIMS.items() if name != claim}


@pytest.mark.parametrize(
    "claims",
    [
        *(without(claim) for claim in ("sub", "aud", "iat", "exp")),
        {**CLAIMS, "iss": "https://other.example.com"},
        {**CLAIMS, "iss": ISS + "/"},
        {**CLAIMS, "aud": "payments"},
        {**CLAIMS, "aud": "orders-and-more"},
        {**CLAIMS, "aud": ["payments", "account"]},
        {**CLAIMS, "aud": []},
        {**CLAIMS, "aud": {"orders": True}},
        {**CLAIMS, "aud": ["orders", 7]},
        {**CLAIMS, "aud": None},
        {**CLAIMS, "sub": ""},
        {**CLAIMS, "sub": "a" * 256},
        {**CLAIMS, "sub": "ann\nadmin"},
        {**CLAIMS, "sub": "\x1b[2J"},
        {**CLAIMS, "sub": "\ud800"},
        {**CLAIMS, "exp": None},
        {**CLAIMS, "exp": True},
        {**CLAIMS, "exp": 1e300},
        {**CLAIMS, "exp": 10**400},
        {**CLAIMS, "exp": -1},
        {**CLAIMS, "iat": None},
        {**CLAIMS, "nbf": None},
        {**CLAIMS, "nbf": [NOW]},
    ],
)
def test_claims_that_are_not_those_of_a_token_for_us_are_refused(claims):
    with pytest.raises(InvalidToken):
        verified(SIGNER.sign(claims))


@pytest.mark.parametrize("name", ["exp", "iat", "nbf"])
def test_a_time_that_is_a_text_is_refused(name):
    # As bytes: PyJWT makes no such token.
    payload = json.dumps({**CLAIMS, name: str(CLAIMS.get(name, NOW))}).encode()
    token = jwt.api_jws.encode(payload, SIGNER.private, "RS256", {"kid": "k1", "typ": "JWT"})
    with pytest.raises(InvalidToken):
        verified(token)


@pytest.mark.parametrize(
    ("claims", "is_valid"),
    [
        ({"exp": NOW - 29}, True),
        ({"exp": NOW - 29.5}, True),
        ({"exp": NOW - 30}, False),
        ({"exp": NOW - 31}, False),
        ({"iat": NOW + 29}, True),
        ({"iat": NOW + 31}, False),
        ({"nbf": NOW + 29}, True),
        ({"nbf": NOW + 31}, False),
        ({"nbf": NOW - 3600}, True),
    ],
)
def test_times_are_compared_with_our_clock_and_a_leeway(claims, is_valid):
    token = SIGNER.sign({**CLAIMS, **claims})
    if is_valid:
        assert verified(token).subject == "acme:ann"
    else:
        with pytest.raises(InvalidToken):
            verified(token)


@pytest.mark.parametrize(
    "header",
    [
        {"typ": "rt+jwt"},
        {"typ": "id_token"},
        {"typ": ""},
        {"typ": "text/jwt"},
        {"kid": "../../etc/passwd"},
        {"kid": "k1' OR '1'='1"},
        {"kid": "k" * 10_000},
        {"kid": ""},
        {"jwk": SIGNER.jwk()},
        {"crit": ["exp"]},
        {"crit": ["b64"], "b64": True},
    ],
)
def test_headers_that_are_not_those_of_a_token_for_us_are_refused(header):
    with pytest.raises(InvalidToken):
        verified(forged(SIGNER, {"alg": "RS256", "kid": "k1", **header}, CLAIMS))


@pytest.mark.parametrize("name", ["jku", "x5u"])
async def test_a_key_that_a_token_offers_is_neither_used_nor_fetched(name):
    attacker = Signer("k1", material="attacker")
    async with ForeignIssuer(attacker.jwk()) as trap, ForeignIssuer(SIGNER.jwk()) as issuer:
        async with opened(config_of(issuer)) as issuers:
            for signer in (attacker, SIGNER):
                with pytest.raises(InvalidToken):
                    await issuers.verify(signer.sign(CLAIMS, **{name: trap.url}))
        assert trap.fetches == 0


def part(value):
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return urlsafe_b64encode(text).rstrip(b"=").decode()


def forged(signer, header, claims):
    """A token with any header at all, rightly signed by RS256."""
    signed = f"{part(header)}.{part(claims)}"
    algorithm = jwt.get_algorithm_by_name("RS256")
    return f"{signed}.{part(algorithm.sign(signed.encode(), signer.private))}"


def test_a_token_without_a_signature_is_refused():
    unsigned = f"{part({'alg': 'none', 'kid': 'k1', 'typ': 'JWT'})}.{part(CLAIMS)}."
    with pytest.raises(InvalidToken):
        verified(unsigned)
    with pytest.raises(InvalidToken):
        verified(SIGNER.sign(CLAIMS).rpartition(".")[0] + ".")


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
def test_a_public_key_is_no_secret_to_sign_with(encoding):
    public = SIGNER.private.public_key().public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)
    signed = f"{part({'alg': 'HS256', 'kid': 'k1', 'typ': 'JWT'})}.{part(CLAIMS)}"
    hs256 = jwt.get_algorithm_by_name("HS256")
    with pytest.raises(InvalidToken):
        verified(f"{signed}.{part(hs256.sign(signed.encode(), public))}")


def test_a_key_verifies_by_its_own_algorithm_only():
    token = SIGNER.sign(CLAIMS, algorithm="PS256")
    assert verified(token, jwks=[SIGNER.jwk(alg="PS256")], algorithms=["RS256", "PS256"])
    with pytest.raises(InvalidToken):
        verified(token, algorithms=["RS256", "PS256"])


def test_an_algorithm_that_is_not_configured_is_refused():
    signer = Signer("k1", "ES256")
    with pytest.raises(InvalidToken):
        verified(signer.sign(CLAIMS), jwks=[signer.jwk()], algorithms=["RS256"])


def test_types_are_configured():
    token = SIGNER.sign(CLAIMS, typ="JWT")
    assert verified(token, types=["application/JWT"]).subject == "acme:ann"
    with pytest.raises(InvalidToken):
        verified(token, types=["at+jwt"])
    with pytest.raises(InvalidToken):
        verified(SIGNER.sign(CLAIMS, typ=None), types=["at+jwt"])


async def test_keys_of_one_issuer_never_serve_another():
    first, second = Signer("same", material="first"), Signer("same", material="second")
    async with (
        ForeignIssuer(first.jwk()) as one,
        ForeignIssuer(second.jwk(), Signer("only").jwk()) as two,
        opened(
            config_of(one, name="one", issuer="https://one"),
            config_of(two, name="two", issuer="https://two"),
        ) as issuers,
    ):

        async def subject(signer, iss):
            return (await issuers.verify(signer.sign({**CLAIMS, "iss": iss}))).subject

        assert await subject(first, "https://one") == "one:ann"
        assert await subject(second, "https://two") == "two:ann"
        for signer, iss in [
            (second, "https://one"),
            (first, "https://two"),
            (Signer("only"), "https://one"),  # a key that only the other has
            (Signer("same", material="shared"), "https://two"),  # its key under another kid
        ]:
            with pytest.raises(InvalidToken):
                await subject(signer, iss)


async def test_only_configured_issuers_are_served():
    async with ForeignIssuer(SIGNER.jwk()) as issuer, opened(config_of(issuer)) as issuers:
        assert issuers.serves(ISS)
        for other in ("https://id.example.com/", "replika-broker", ""):
            assert not issuers.serves(other)
            with pytest.raises(InvalidToken):
                await issuers.verify(SIGNER.sign({**CLAIMS, "iss": other}))


async def test_an_issuer_that_hangs_does_not_hang_another():
    async with ForeignIssuer() as slow, ForeignIssuer(SIGNER.jwk()) as issuer:
        slow.answering.clear()
        clock = ManualClock()
        configs = config_of(slow, name="slow", issuer="https://slow"), config_of(issuer)
        async with opened(*configs, clock=clock) as issuers:
            waiting = asyncio.create_task(
                issuers.verify(SIGNER.sign({**CLAIMS, "iss": "https://slow"}))
            )
            await slow.asked(1)
            assert (await issuers.verify(SIGNER.sign(CLAIMS))).subject == "acme:ann"
            assert not waiting.done()
            clock.advance(5)
            with pytest.raises(Unavailable):
                await waiting


async def test_a_verified_token_is_current_until_its_key_is_withdrawn():
    clock, new = ManualClock(), Signer("k2", "ES256")
    async with ForeignIssuer(SIGNER.jwk()) as issuer:
        async with opened(config_of(issuer), clock=clock) as issuers:
            who = await issuers.verify(SIGNER.sign(CLAIMS))
            assert issuers.is_current(who)
            issuer.keys = [SIGNER.jwk(), new.jwk()]  # the new one signs, the old one verifies
            clock.advance(30)
            assert issuers.is_current(await issuers.verify(new.sign(CLAIMS)))
            assert issuers.is_current(who)
            issuer.keys = [new.jwk()]
            clock.advance(30)
            with pytest.raises(InvalidToken):
                await issuers.verify(SIGNER.sign(CLAIMS, kid="k3"))
            assert not issuers.is_current(who)
            with pytest.raises(InvalidToken):
                await issuers.verify(SIGNER.sign(CLAIMS))


async def test_what_another_issuer_verified_is_not_current():
    async with ForeignIssuer(SIGNER.jwk()) as issuer:
        async with opened(config_of(issuer)) as issuers:
            who = await issuers.verify(SIGNER.sign(CLAIMS))
        async with opened(config_of(issuer, issuer="https://other")) as issuers:
            assert not issuers.is_current(who)


async def test_junk_costs_no_fetch():
    clock = ManualClock()
    async with ForeignIssuer(SIGNER.jwk()) as issuer:
        async with opened(config_of(issuer), clock=clock) as issuers:
            await issuers.verify(SIGNER.sign(CLAIMS))
            clock.advance(30)
            for header in ({"alg": "HS256"}, {"alg": "none"}, {"typ": "x"}, {"crit": ["exp"]}):
                token = forged(SIGNER, {"alg": "RS256", "kid": "unknown", **header}, CLAIMS)
                with pytest.raises(InvalidToken):
                    await issuers.verify(token)
            assert issuer.fetches == 1


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=5,
)
HEADER_NAMES = ["alg", "typ", "kid", "crit", "b64", "jwk", "jku", "zip", "cty"]
CLAIM_NAMES = ["iss", "sub", "aud", "exp", "iat", "nbf", "jti", "scope", "roles", "realm_access"]


def mutations():
    """Ways to change a token: bytes of it, parts of it, members of its header and claims."""
    names = st.sampled_from(HEADER_NAMES + CLAIM_NAMES)
    indexes = st.integers(0, 2)
    return st.one_of(
        st.tuples(st.just("put"), st.integers(0, 2000), st.characters()),
        st.tuples(st.just("cut"), st.integers(0, 2000), st.integers(1, 40)),
        st.tuples(st.just("part"), indexes, st.binary(max_size=40)),
        st.tuples(st.just("move"), indexes, indexes),
        st.tuples(st.just("member"), indexes, st.tuples(names, JSON)),
        st.tuples(st.just("drop"), indexes, names),
    )


def mutate(token, mutation):
    kind, where, what = mutation
    if kind == "put":
        where %= len(token)
        return token[:where] + what + token[where + 1 :]
    if kind == "cut":
        where %= len(token)
        return token[:where] + token[where + what :]
    parts = token.split(".")
    if where >= len(parts):
        return token
    if kind == "part":
        parts[where] = part(what)
    elif kind == "move":
        parts[where] = parts[what % len(parts)]
    else:
        parts[where] = edited(parts[where], kind, what)
    return ".".join(parts)


def edited(text, kind, what):
    try:
        members = json.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except ValueError:
        return text
    if not isinstance(members, dict):
        return text
    if kind == "drop":
        members.pop(what, None)
    else:
        members[what[0]] = what[1]
    return part(json.dumps(members).encode())


def drawn(strategy, check):
    """Check 500 drawn values against the issuers of one loop, which has the keys of SIGNERS."""

    async def run():
        loop = asyncio.get_running_loop()
        jwks = [signer.jwk() for signer in SIGNERS]
        async with ForeignIssuer(*jwks) as issuer, opened(config_of(issuer)) as issuers:
            for signer in SIGNERS:
                await issuers.verify(signer.sign(CLAIMS))

            def verify(text):
                return asyncio.run_coroutine_threadsafe(issuers.verify(text), loop).result()

            @settings(max_examples=500)
            @given(strategy)
            def check_all(value):
                check(verify, value)

            await asyncio.to_thread(check_all)
            assert issuer.fetches == 1

    asyncio.run(run())


SIGNERS = [Signer("rsa", "RS256"), Signer("ec", "ES256"), Signer("ed", "EdDSA")]


def test_a_changed_token_is_an_invalid_token_and_nothing_else():
    def check(verify, drawn):
        original, changes = drawn
        text = original
        for change in changes:
            text = mutate(text, change)
        if text != original:
            with pytest.raises(InvalidToken):
                verify(text)

    originals = st.sampled_from([signer.sign(CLAIMS) for signer in SIGNERS])
    drawn(st.tuples(originals, st.lists(mutations(), min_size=1, max_size=3)), check)


def test_whatever_an_issuer_signs_is_valid_or_an_invalid_token_and_nothing_else():
    def check(verify, drawn):
        header, claims = drawn
        token = forged(SIGNERS[0], {"alg": "RS256", "kid": "rsa", **header}, {**CLAIMS, **claims})
        try:
            who = verify(token)
        except InvalidToken:
            return
        assert (who.issuer, who.jwk.kid) == (ISS, "rsa")

    headers = st.dictionaries(st.sampled_from(HEADER_NAMES), JSON, max_size=1)
    claims = st.dictionaries(st.sampled_from(CLAIM_NAMES), JSON, max_size=2)
    drawn(st.tuples(headers, claims), check)


async def test_without_issuers_nothing_is_served():
    async with opened() as issuers:
        assert not issuers.serves(ISS)
        with pytest.raises(InvalidToken):
            await issuers.verify(SIGNER.sign(CLAIMS))


def test_issuers_need_the_extra_asymmetric():
    program = f"""
import asyncio, logging, sys
sys.modules["cryptography"] = None  # as if it were not installed
from broker import Clock, ConfigError
from broker_auth_jwt.issuer_config import IssuerConfig
from broker_auth_jwt.issuers import Issuers
from broker_auth_jwt.scopes import Roles

def issuers(*configs):
    return Issuers(
        configs, roles=Roles({{}}), leeway_ms=0, clock=Clock(), logger=logging.getLogger()
    )

asyncio.run(issuers().open())
try:
    asyncio.run(issuers(IssuerConfig(
        name="acme", issuer="{ISS}", jwks_url="{ISS}/keys", audience="orders",
        grants={{"a": ["admin"]}},
    )).open())
except ConfigError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == (
        "plugins.auth_jwt.issuers: verifying their tokens takes the package cryptography; "
        "pip install 'replika-broker-auth-jwt[asymmetric]'\n",
        "",
    )
