"""The options of this plugin."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

from broker_sse.redis_url import check_redis_url


class SseConfig(BaseModel):
    """The table `[plugins.sse]`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    history: int = Field(
        default=10_000,
        ge=0,
        le=1_000_000,
        strict=True,
        description="How many events are kept for those who come back.",
    )
    buffer: int = Field(
        default=256,
        ge=1,
        le=65_536,
        strict=True,
        description="How many events wait for a client before it is dropped as too slow.",
    )
    redis_url: Annotated[SecretStr, AfterValidator(check_redis_url)] | None = Field(
        default=None,
        description="The Redis or Valkey through which events travel between several brokers; "
        "without it, each tells of its own alone.",
    )
    redis_prefix: str = Field(
        default="replika-broker",
        pattern=r"^[A-Za-z0-9._:-]{1,64}$",
        description="What the names of keys in Redis begin with: the same for brokers that share "
        "their events, another for others.",
    )
