"""The options of this plugin."""

from __future__ import annotations

from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from broker_auth_jwt.issuer_config import IssuerConfig, check_issuers
from broker_auth_jwt.scopes import ADMIN, SHIPPED_ROLES, Roles, is_role_name, is_scope
from broker_auth_jwt.weak_secrets import HMAC_BYTES, weakness_of

Algorithm = Literal["HS256", "HS384", "HS512", "RS256", "ES256", "EdDSA"]


def _check_scope(text: str) -> str:
    if not is_scope(text):
        raise ValueError("expected publish, consume, read or manage, a colon and a glob; or admin")
    return text


def _check_role(text: str) -> str:
    if not is_role_name(text):
        raise ValueError("expected a name of a-z 0-9 _ -")
    if text == ADMIN:
        raise ValueError("admin may do everything, and nothing else can be made of it")
    return text


def _check_file(name: str) -> str:
    if "://" in name:
        raise ValueError("expected the name of a file; a URL goes into database_url")
    return name


def _check_url(url: SecretStr) -> SecretStr:
    try:
        parts = urlsplit(url.get_secret_value())
        is_whole = bool(parts.path.strip("/")) and (parts.port is None or parts.port > 0)
    except ValueError:
        is_whole = False  # its message may show the text
    if not is_whole or parts.scheme not in ("postgresql", "postgres"):
        raise ValueError("expected postgresql://user:password@host:port/database")
    return url


def _check_secret(secret: SecretStr, info: ValidationInfo) -> SecretStr:
    algorithm = info.data.get("algorithm")
    if algorithm is None:
        return secret  # that was wrong, and is told
    if algorithm not in HMAC_BYTES:
        raise ValueError(
            f"is for HS256, HS384 and HS512; the keys of {algorithm} are in the file `keys`, so"
            " leave this out"
        )
    if weakness := weakness_of(secret.get_secret_value(), algorithm):
        raise ValueError(weakness)
    return secret


def _check_previous(secrets: tuple[SecretStr, ...], info: ValidationInfo) -> tuple[SecretStr, ...]:
    # A secret that was refused is not there at all.
    if secrets and info.data.get("secret", ...) is None:
        raise ValueError("there is no `secret` that came after them; set it, or leave these out")
    return secrets


Scope = Annotated[str, AfterValidator(_check_scope)]
RoleName = Annotated[str, AfterValidator(_check_role)]
Secret = Annotated[SecretStr, Field(max_length=1024), AfterValidator(_check_secret)]
FileName = Annotated[str, Field(min_length=1, pattern=r"^[^\x00]+$")]


class AuthConfig(BaseModel):
    """`[plugins.auth_jwt]` of the broker's config."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    database: Annotated[FileName, AfterValidator(_check_file)] = Field(
        "auth.db",
        description="The file of users and tokens; a relative path starts at the data directory.",
    )
    database_url: Annotated[SecretStr, AfterValidator(_check_url)] | None = Field(
        None,
        description="Instead of the file, a PostgreSQL database that several brokers share: "
        "postgresql://user:password@host:port/database. It needs the extra postgresql.",
    )
    issuer: str = Field(
        "replika-broker", min_length=1, description="Who issues the tokens: their `iss`."
    )
    audience: str = Field(
        "replika-broker", min_length=1, description="Whom the tokens are for: their `aud`."
    )
    algorithm: Algorithm = Field(
        "HS256",
        description="How new tokens are signed. RS256, ES256 and EdDSA need the extra asymmetric.",
    )
    keys: FileName = Field(
        "auth-keys.json",
        description="The file of the signing keys, made at the first start; a relative path starts "
        "at the data directory.",
    )
    secret: Secret | None = Field(
        None,
        description="Instead of a key file, for HS256, HS384 and HS512: what tokens are signed "
        "with, at least 32, 48 or 64 bytes.",
    )
    previous_secrets: Annotated[tuple[Secret, ...], AfterValidator(_check_previous)] = Field(
        (),
        description="What was `secret` before: tokens that were signed with one of them are still "
        "accepted.",
    )
    access_seconds: int = Field(
        900, ge=10, le=86_400, strict=True, description="How long an access token is valid."
    )
    refresh_seconds: int = Field(
        2_592_000,
        ge=60,
        le=31_536_000,
        strict=True,
        description="How long a login lasts without being refreshed.",
    )
    leeway_seconds: int = Field(
        30,
        ge=0,
        le=300,
        strict=True,
        description="How far the clocks of brokers and issuers may differ: for so long access "
        "and refresh tokens are accepted before and after their time.",
    )
    audit: FileName = Field(
        "audit.jsonl",
        description="The file of who logged in, and who granted, revoked, deleted what; a relative "
        "path starts at the data directory.",
    )
    roles: dict[RoleName, tuple[Scope, ...]] = Field(
        default_factory=dict,
        description="Names for sets of scopes, beside producer, consumer and viewer or instead of "
        "them.",
    )
    issuers: tuple[IssuerConfig, ...] = Field(
        (), description="Others whose access tokens are accepted; a table for each."
    )

    @field_validator("issuers")
    @classmethod
    def _check_issuers(
        cls, issuers: tuple[IssuerConfig, ...], info: ValidationInfo
    ) -> tuple[IssuerConfig, ...]:
        roles = Roles({**SHIPPED_ROLES, **info.data.get("roles", {})})
        check_issuers(issuers, own=info.data.get("issuer"), roles=roles)
        return issuers

    @model_validator(mode="after")
    def _check_alternatives(self) -> Self:
        for option, instead in (("database", "database_url"), ("keys", "secret")):
            if {option, instead} <= self.model_fields_set:
                raise ValueError(f"{instead} is used instead of {option}; leave one of them out")
        return self

    @property
    def all_roles(self) -> dict[str, tuple[str, ...]]:
        """The shipped roles and the configured ones, which win."""
        return {**SHIPPED_ROLES, **self.roles}
