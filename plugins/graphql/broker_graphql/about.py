"""What the API documentation tells of the endpoint; the rest is in its own schema."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from broker import (
    Answer,
    Body,
    Description,
    Malformed,
    NotAcceptable,
    RateLimited,
    TooManyStreams,
    write_event,
)
from msgspec import UNSET, UnsetType

from broker_graphql.event_stream import EVENT_STREAM


class GraphqlRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A document or the id of one that is known, and what goes with it (GraphQL over HTTP)."""

    query: str | None = None
    """The document."""
    document_id: str | None = None
    """`sha256:` and the hash of a document that the broker knows, in place of `query`."""
    operation_name: str | None = None
    """Which of the document's operations to execute; null: it has one."""
    variables: dict[str, Any] | None = None
    """The values of its variables."""
    extensions: dict[str, Any] | None = None
    """`persistedQuery` names a document by its hash, as Apollo's clients do."""


class GraphqlError(msgspec.Struct, frozen=True, kw_only=True):
    """Why something is missing; `extensions.code` is for programs."""

    message: str
    """What failed, for people."""
    path: list[str | int] | UnsetType | None = UNSET
    """Where in the result something is missing for it."""
    locations: list[dict[str, int]] | UnsetType | None = UNSET
    """Where in the document that was asked for."""
    extensions: dict[str, Any] | UnsetType = UNSET
    """For programs: `code` is stable."""


class GraphqlResult(msgspec.Struct, frozen=True, kw_only=True):
    """What an operation results in; in the order of the GraphQL specification, section 7."""

    data: dict[str, Any] | UnsetType | None = UNSET
    """What was asked for; null where it failed."""
    errors: list[GraphqlError] | UnsetType = UNSET
    """Why something is missing; not there if nothing is."""


RESULT = {"data": {"me": {"subject": "worker-1"}}}
REFUSAL = {"errors": [{"message": "Syntax Error", "extensions": {"code": "syntax"}}]}
RESULTS = "application/graphql-response+json"

ANSWER = Description(
    name="execute_graphql",
    tag="GraphQL",
    takes=(Body(GraphqlRequest, {"query": "{ me { subject } }"}),),
    answers=(
        Answer(GraphqlResult, RESULT, headers=("Cache-Control",)),
        Answer(GraphqlResult, RESULT, RESULTS),
        Answer(bytes, write_event("next", msgspec.json.encode(RESULT)).decode(), EVENT_STREAM),
        *(
            Answer(GraphqlResult, REFUSAL, form, status=status)
            for status in (400, 413)
            for form in ("application/json", RESULTS)
        ),
    ),
    events={"next": Body(GraphqlResult, RESULT), "complete": Body(Literal[""], "")},
    errors=(Malformed, NotAcceptable, RateLimited, TooManyStreams),
)
