"""The options of this plugin."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

MEBIBYTE = 1024 * 1024

Glob = Annotated[str, Field(pattern=r"^[A-Za-z0-9._*?\[\]!-]{1,255}$")]


class JsonSchemaConfig(BaseModel):
    """The table `[plugins.json_schema]`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schemas: dict[Glob, Path] = Field(
        min_length=1,
        description="The file of a schema for each glob of queues; a relative path starts at the "
        "data directory. A queue that several match keeps them all.",
    )
    not_json: Literal["refuse", "pass"] = Field(
        default="refuse",
        description="What to do with messages whose content type is not that of JSON: refuse "
        "them, or let them pass unread.",
    )
    max_bytes: int = Field(
        default=MEBIBYTE // 4,
        ge=1,
        le=16 * MEBIBYTE,
        strict=True,
        description="How large a body may be that is to be checked; larger ones are refused.",
    )
