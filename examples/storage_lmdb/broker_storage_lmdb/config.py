"""The options of this plugin."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class LMDBConfig(BaseModel):
    """`[plugins.storage_lmdb]` of the broker's config."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Annotated[str, Field(min_length=1, pattern=r"^[^\x00]+$")] = Field(
        "lmdb", description="The directory; a relative path starts at the data directory."
    )
    max_bytes: Annotated[int, Field(ge=1024 * 1024)] = Field(
        64 * 1024**3, description="How large the file may become; it is only as large as it has to."
    )
