"""The options of this plugin."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


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
