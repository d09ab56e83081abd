"""The options of this plugin: who sends webhooks, and what they sign with."""

import hmac
from base64 import b64decode, b64encode
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]
Scope = Annotated[str, Field(pattern=r"^publish:[A-Za-z0-9._*?\[\]!-]{1,255}$")]


class Sender(BaseModel):
    """One of `[plugins.auth_webhook.senders]`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    scheme: Literal["github", "standard"] = Field(description="How it signs.")
    secrets: tuple[SecretStr, ...] = Field(
        min_length=1, description="What it signs with; several while one takes another's place."
    )
    scopes: frozenset[Scope] = Field(description="Where it may publish: publish:<glob of queues>.")

    def is_signed(self, payload: bytes, signatures: list[bytes]) -> bool:
        """Tell whether one of these signatures is the sender's, of this payload."""
        digests = [hmac.digest(key, payload, "sha256") for key in self._keys()]
        if self.scheme == "github":
            own = [b"sha256=" + digest.hex().encode() for digest in digests]
        else:
            own = [b"v1," + b64encode(digest) for digest in digests]
        return any(hmac.compare_digest(one, other) for one in own for other in signatures)

    def _keys(self) -> list[bytes]:
        texts = [secret.get_secret_value() for secret in self.secrets]
        if self.scheme == "github":
            return [text.encode() for text in texts]
        return [b64decode(text.removeprefix("whsec_"), validate=True) for text in texts]

    @model_validator(mode="after")
    def _check_keys(self) -> Self:
        if min(map(len, self._keys())) < 16:  # noqa: PLR2004  # 128 bits
            raise ValueError("secrets: expected 16 bytes or more: openssl rand -base64 32")
        return self


class WebhookConfig(BaseModel):
    """`[plugins.auth_webhook]` of the broker's config."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    senders: dict[Name, Sender] = Field(min_length=1, description="Who may send, by name.")
    tolerance_seconds: int = Field(
        300, ge=1, le=3600, description="How far the time of a Standard Webhook may be from now."
    )
