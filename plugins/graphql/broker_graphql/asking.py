"""What a client sends: a document, or the hash of one, with the values of its variables."""

from __future__ import annotations

from typing import Any

import msgspec
from broker import Malformed, MessageTooLarge

from broker_graphql.config import GraphqlConfig


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A request (GraphQL over HTTP, section 5.1)."""

    query: str
    operation_name: str | None = None
    variables: dict[str, Any] = {}


class _Body(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    query: str
    operation_name: str | None = None
    variables: msgspec.Raw = msgspec.Raw(b"{}")
    extensions: msgspec.Raw = msgspec.Raw(b"{}")


def read_asked(body: bytes, config: GraphqlConfig) -> Asked:
    """Read the JSON that a client sent; raises Malformed, MessageTooLarge."""
    try:
        request = msgspec.json.decode(body, type=_Body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"expected a GraphQL request: {error}") from error
    if len(body) - len(request.variables) > config.max_request_bytes:
        raise MessageTooLarge(
            f"without its variables, the request exceeds max_request_bytes, "
            f"which is {config.max_request_bytes}"
        )
    return Asked(
        query=request.query,
        operation_name=request.operation_name,
        variables=msgspec.json.decode(request.variables) or {},
    )
