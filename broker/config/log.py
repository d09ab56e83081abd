"""The table `[log]`."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class LogConfig(BaseModel):
    """The table `[log]`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["console", "json"] | None = Field(
        default=None,
        description="How stderr is written: console or json; none: console on a terminal, else "
        "json.",
    )
    requests: bool = Field(
        default=True,
        strict=True,
        description="Whether there is a line for each request that is severe enough.",
    )
    files: int = Field(
        default=10,
        ge=0,
        le=1000,
        strict=True,
        description="How many files of the log are kept in `broker.data_dir`; 0: none is written.",
    )
    file_bytes: int = Field(
        default=10 * 1024 * 1024,
        ge=64 * 1024,
        le=64 * 1024 * 1024,
        strict=True,
        description="How large each of them may be.",
    )
