"""The options of this plugin."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class GraphqlConfig(BaseModel):
    """The table `[plugins.graphql]`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_request_bytes: int = Field(
        default=10_000,
        ge=100,
        le=1_000_000,
        strict=True,
        description="How large a request may be, its variables apart.",
    )
    max_variables_bytes: int = Field(
        default=1024 * 1024,
        ge=0,
        le=16 * 1024 * 1024,
        strict=True,
        description="How large the variables of a request may be.",
    )
    max_tokens: int = Field(
        default=1000,
        ge=10,
        le=10_000,
        strict=True,
        description="How many words and signs a document may have.",
    )
    buffer: int = Field(
        default=256,
        ge=1,
        le=65_536,
        strict=True,
        description="How many events wait for a subscriber before it is dropped as too slow.",
    )
