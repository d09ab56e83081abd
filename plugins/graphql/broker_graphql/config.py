"""The options of this plugin."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, model_validator


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
    max_values: int = Field(
        default=20_000,
        ge=10,
        le=1_000_000,
        strict=True,
        description="How many values a request may hold as JSON, those in lists and objects, too.",
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
    max_depth: int = Field(
        default=10,
        ge=1,
        le=50,
        strict=True,
        description="How deep fields may be nested, fragments followed; how deep lists and objects "
        "in values, also in variables.",
    )
    max_introspection_depth: int = Field(
        default=20,
        ge=1,
        le=50,
        strict=True,
        description="How deep fields may be nested that ask for the schema.",
    )
    max_aliases: int = Field(
        default=15,
        ge=0,
        le=1000,
        strict=True,
        description="How many fields of a document may have another name in the answer.",
    )
    max_root_fields: int = Field(
        default=10,
        ge=1,
        le=1000,
        strict=True,
        description="How many fields an operation may begin with, fragments followed.",
    )
    max_fragments: int = Field(
        default=20,
        ge=0,
        le=100,
        strict=True,
        description="How many fragments a document may have, inline ones, too.",
    )
    max_cost: int = Field(
        default=10_000,
        ge=1,
        le=10_000_000,
        strict=True,
        description="How many fields the answer may have, if all lists are as long as they may be.",
    )
    introspection: bool | None = Field(
        default=None,
        strict=True,
        description="Whether everybody may ask for the schema; unset: not in production. Admins "
        "always may.",
    )
    documents: Path | None = Field(
        default=None,
        description="A folder of documents, *.graphql, that clients may name by their hash; a "
        "relative path starts at the data directory.",
    )
    only_documents: bool = Field(
        default=False,
        strict=True,
        description="Whether nothing but these documents is executed.",
    )

    @model_validator(mode="after")
    def _check_documents(self) -> GraphqlConfig:
        if self.only_documents and self.documents is None:
            raise ValueError("only_documents needs documents, the folder where they are")
        return self
