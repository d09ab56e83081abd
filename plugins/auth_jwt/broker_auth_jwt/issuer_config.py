"""The options of one trusted issuer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from broker_auth_jwt.compact import media_type
from broker_auth_jwt.scopes import Roles

Text = Annotated[str, Field(min_length=1)]
ForeignAlgorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"
]

_TAKEN_NAMES = frozenset({"token", "cli"})
"""`token:shop` is a service token, `cli:root` who gave a command."""


def _check_url(text: str) -> str:
    from broker_auth_jwt.jwks_url import check_jwks_url  # imports httpx

    return check_jwks_url(text)


class IssuerConfig(BaseModel):
    """One of `[[plugins.auth_jwt.issuers]]`: whose tokens are accepted, and what they give."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(
        pattern=r"^[a-z][a-z0-9_-]{0,63}$",
        description="What the broker calls it: its subjects are name:sub.",
    )
    issuer: Text = Field(description="The `iss` of its tokens, to the letter.")
    jwks_url: Annotated[str, AfterValidator(_check_url)] = Field(
        description="Where its keys are published: https, or http on this machine."
    )
    audience: Text = Field(description="What the `aud` of its tokens has to be, or to contain.")
    algorithms: tuple[ForeignAlgorithm, ...] = Field(
        ("RS256", "ES256", "EdDSA"),
        min_length=1,
        description="How its tokens may be signed. A key that does not say its algorithm is used "
        "for the first of them that fits it.",
    )
    types: tuple[Annotated[Text, AfterValidator(media_type)], ...] = Field(
        ("at+jwt", "jwt"),
        min_length=1,
        description="What the `typ` of its tokens may be; one without counts as jwt.",
    )
    claims: tuple[Text, ...] = Field(
        ("scope", "scp", "roles", "realm_access.roles", "groups", "permissions"),
        min_length=1,
        description="The claims whose values are looked up in `grants`; a dot leads into a claim.",
    )
    grants: dict[str, tuple[Text, ...]] = Field(
        min_length=1,
        description="For a value of these claims: the roles and scopes that it gives. Nothing "
        "else gives any.",
    )
    cache_seconds: int = Field(
        600,
        ge=30,
        le=86_400,
        strict=True,
        description="How long a key that it withdrew may still be used.",
    )
    cooldown_seconds: int = Field(
        30,
        ge=1,
        le=3600,
        strict=True,
        description="How long after a fetch of its keys no token causes another.",
    )
    stale_seconds: int = Field(
        86_400,
        ge=0,
        le=2_592_000,
        strict=True,
        description="How much longer its keys are used while it cannot be reached.",
    )


def check_issuers(issuers: Sequence[IssuerConfig], *, own: str | None, roles: Roles) -> None:
    """Raise ValueError if issuers cannot be told apart, or grant what there is not."""
    names: set[str] = set()
    texts = {own}
    for config in issuers:
        if config.name in _TAKEN_NAMES:
            raise ValueError(f'"{config.name}" is what subjects of the broker\'s own begin with')
        if config.name in names:
            raise ValueError(f'two issuers are named "{config.name}"')
        if config.issuer in texts:
            raise ValueError(f'"{config.issuer}" is the issuer of "{config.name}", and of another')
        names.add(config.name)
        texts.add(config.issuer)
        _check_grants(config, roles)


def _check_grants(config: IssuerConfig, roles: Roles) -> None:
    for value, grants in config.grants.items():
        for grant in grants:
            try:
                roles.check(grant)
            except ValueError as error:
                raise ValueError(f'"{config.name}" grants for "{value}": {error}') from error
