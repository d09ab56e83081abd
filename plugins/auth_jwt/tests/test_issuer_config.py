import tomllib
from pathlib import Path

import pytest
from pages import blocks
from pydantic import ValidationError

from broker_auth_jwt.config import AuthConfig
from broker_auth_jwt.issuer_config import IssuerConfig

README = Path(__file__).parents[1] / "README.md"

ACME = {
    "name": "acme",
    "issuer": "https://id.example.com",
    "jwks_url": "https://id.example.com/keys",
    "audience": "orders",
    "grants": {"writer": ["producer", "read:orders-*"]},
}
OTHER = {**ACME, "name": "other", "issuer": "https://other.example.com"}


def test_an_issuer_needs_little_and_the_rest_is_strict():
    config = IssuerConfig(**ACME)
    assert config.algorithms == ("RS256", "ES256", "EdDSA")
    assert config.types == ("at+jwt", "jwt")
    assert config.claims == (
        "scope",
        "scp",
        "roles",
        "realm_access.roles",
        "groups",
        "permissions",
    )
    times = config.cache_seconds, config.cooldown_seconds, config.stale_seconds
    assert times == (600, 30, 86_400)


def test_nobody_else_is_trusted_by_default():
    assert AuthConfig().issuers == ()


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("name", "Acme"),
        ("name", "acme:ann"),  # its subjects must not look like another's
        ("name", ""),
        ("issuer", ""),
        ("audience", ""),
        ("jwks_url", "http://id.example.com/keys"),
        ("algorithms", ["HS256"]),  # a secret that is published is none
        ("algorithms", ["RS256", "none"]),
        ("algorithms", []),
        ("types", []),
        ("claims", []),
        ("claims", [""]),
        ("grants", {}),
        ("cache_seconds", 29),
        ("cache_seconds", 86_401),
        ("cache_seconds", True),
        ("cooldown_seconds", 0),
        ("stale_seconds", -1),
        ("stale_seconds", 2_592_001),
        ("jwks_uri", "https://id.example.com/keys"),
    ],
)
def test_what_makes_no_issuer_is_refused_by_its_key(option, value):
    with pytest.raises(ValidationError) as refused:
        IssuerConfig(**{**ACME, option: value})
    assert {error["loc"][0] for error in refused.value.errors()} == {option}


@pytest.mark.parametrize(
    ("issuers", "problem"),
    [
        ([ACME, {**OTHER, "name": "acme"}], 'two issuers are named "acme"'),
        ([{**ACME, "name": "token"}], '"token" is what subjects of the broker\'s own begin with'),
        (
            [ACME, {**OTHER, "issuer": "https://id.example.com"}],
            '"https://id.example.com" is the issuer of "other", and of another',
        ),
        (
            [{**ACME, "issuer": "replika-broker"}],
            '"replika-broker" is the issuer of "acme", and of another',
        ),
        (
            [{**ACME, "grants": {"writer": ["producers"]}}],
            '"acme" grants for "writer": "producers" is no role (admin, consumer, packer, '
            "producer, viewer) and no scope: publish, consume, read or manage, a colon and a "
            "glob of queue names, as in publish:orders-*",
        ),
    ],
)
def test_issuers_are_told_apart_and_grant_what_there_is(issuers, problem):
    with pytest.raises(ValidationError) as refused:
        AuthConfig(issuers=issuers, roles={"packer": ["consume:orders-*"]})
    [error] = refused.value.errors()
    assert (error["loc"], str(error["ctx"]["error"])) == (("issuers",), problem)


def test_an_issuer_may_grant_configured_roles():
    grants = {"packer": ["packer", "viewer", "publish:packed"]}
    config = AuthConfig(
        issuers=[{**ACME, "grants": grants}, OTHER], roles={"packer": ["consume:orders-*"]}
    )
    assert [issuer.name for issuer in config.issuers] == ["acme", "other"]


def test_the_examples_of_the_readme_are_valid():
    examples = [tomllib.loads(text) for text in blocks(README.read_text(), "toml")]
    names = [
        issuer.name
        for example in examples
        for issuer in AuthConfig(**example.get("plugins", {}).get("auth_jwt", {})).issuers
    ]
    assert names == ["keycloak", "auth0"]
