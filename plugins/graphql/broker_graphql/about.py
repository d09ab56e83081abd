"""What the API documentation tells of the endpoint; the rest is in its own schema."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from broker import Answer, Body, Description, Malformed, NotAcceptable, RateLimited, TooManyStreams
from msgspec import UNSET, UnsetType

from broker_graphql.event_stream import EVENT_STREAM


class GraphqlRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A document or the id of one that is known, and what goes with it (GraphQL over HTTP)."""

    query: str | None = None
    document_id: str | None = None
    operation_name: str | None = None
    variables: dict[str, Any] | None = None
    extensions: dict[str, Any] | None = None


class GraphqlError(msgspec.Struct, frozen=True, kw_only=True):
    """Why something is missing; `extensions.code` is for programs."""

    message: str
    path: list[str | int] | UnsetType | None = UNSET
    locations: list[dict[str, int]] | UnsetType | None = UNSET
    extensions: dict[str, Any] | UnsetType = UNSET


class GraphqlResult(msgspec.Struct, frozen=True, kw_only=True):
    """What an operation results in; in the order of the GraphQL specification, section 7."""

    data: dict[str, Any] | UnsetType | None = UNSET
    errors: list[GraphqlError] | UnsetType = UNSET


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
        Answer(bytes, media_type=EVENT_STREAM),
        *(
            Answer(GraphqlResult, REFUSAL, form, status=status)
            for status in (400, 413)
            for form in ("application/json", RESULTS)
        ),
    ),
    events={"next": GraphqlResult, "complete": Literal[""]},
    errors=(Malformed, NotAcceptable, RateLimited, TooManyStreams),
)
