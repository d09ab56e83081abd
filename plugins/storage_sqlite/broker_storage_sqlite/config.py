"""The options of this plugin."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Durability = Literal["full", "os"]


class SQLiteConfig(BaseModel):
    """`[plugins.storage_sqlite]` of the broker's config."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Annotated[str, Field(min_length=1, pattern=r"^[^\x00]+$")] = Field(
        "broker.db", description="The database file; a relative path starts at the data directory."
    )
    durability: Durability = Field(
        "full",
        description='"full": what was answered survives a power cut. "os": it survives a crash of '
        "the broker, but a power cut can take the last seconds.",
    )
