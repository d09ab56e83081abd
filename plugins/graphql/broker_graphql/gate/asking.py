"""What a client sends: a document, or the hash of one, with the values of its variables."""

from __future__ import annotations

import hashlib
import json
import re
from itertools import accumulate
from typing import Any

import msgspec
from broker import Malformed

from broker_graphql.config import GraphqlConfig
from broker_graphql.gate.refusal import refuse_excess, refuse_size

_DOCUMENT_ID = re.compile("sha256:([0-9a-f]{64})")
_ALL_AS_LISTS = bytes.maketrans(b"{}", b"[]")
_NO_SIGNS = bytes(set(range(256)) - set(b"[]{},"))
_OPENING = ord("[")


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A request (GraphQL over HTTP, section 5.1): with `query`, or with the `digest` of one."""

    query: str | None = None
    digest: str | None = None
    """SHA-256 in hexadecimal."""
    is_automatic: bool = False
    """Whether the client goes by Apollo's protocol: it asks again with the text when the digest is
    unknown."""
    operation_name: str | None = None
    variables: dict[str, Any] = {}


class _PersistedQuery(msgspec.Struct, frozen=True, rename="camel"):
    sha256_hash: str = msgspec.field(name="sha256Hash")
    version: int = 1


class _Extensions(msgspec.Struct, frozen=True, rename="camel"):
    persisted_query: _PersistedQuery | None = None


class _Body(msgspec.Struct, frozen=True, rename="camel"):
    query: str | None = None
    document_id: str | None = None
    operation_name: str | None = None
    variables: msgspec.Raw = msgspec.Raw(b"null")
    extensions: _Extensions | None = None


def read_asked(body: bytes, config: GraphqlConfig) -> Asked:
    """Read the JSON that a client sent; raises Malformed for what is no request, or Refused."""
    if body.lstrip()[:1] == b"[":
        raise Malformed("batches are not taken; send each request by itself")
    _check_values(body, config)
    request = _decode(body, _Body, what="a GraphQL request")
    _check_sizes(len(body), len(request.variables), config)
    variables = _decode(request.variables, dict[str, Any] | None, what="variables")
    _check_names(body, request.variables)
    query, digest = _read_document(request)
    return Asked(
        query=query,
        digest=digest,
        is_automatic=request.document_id is None,
        operation_name=request.operation_name,
        variables=variables or {},
    )


def _check_values(body: bytes, config: GraphqlConfig) -> None:
    """Bound what is nested, and how much there is, before anything is made of it."""
    outside_strings = body.replace(rb"\\", b"").replace(rb"\"", b"").split(b'"')[::2]
    signs = b"".join(outside_strings).translate(_ALL_AS_LISTS, _NO_SIGNS)
    values = signs.count(b",") + signs.count(b"[")
    if values > config.max_values:
        raise refuse_excess("values", "max_values", allowed=config.max_values, received=values)
    brackets = signs.replace(b",", b"")
    depth = max(accumulate(1 if sign == _OPENING else -1 for sign in brackets), default=0)
    # The request itself is an object, in which the variables are one.
    if depth - 1 > config.max_depth:
        raise refuse_excess(
            "levels of values", "max_depth", allowed=config.max_depth, received=depth - 1
        )


def _decode(text: bytes | msgspec.Raw, kind: Any, *, what: str) -> Any:
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.ValidationError as error:
        raise Malformed(f"expected {what}: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Malformed(f"expected JSON in UTF-8: {error}") from error


def _check_sizes(whole: int, variables: int, config: GraphqlConfig) -> None:
    if variables > config.max_variables_bytes:
        raise refuse_size(
            "variables",
            "max_variables_bytes",
            allowed=config.max_variables_bytes,
            received=variables,
        )
    if whole - variables > config.max_request_bytes:
        raise refuse_size(
            "a request without its variables",
            "max_request_bytes",
            allowed=config.max_request_bytes,
            received=whole - variables,
        )


def _check_names(body: bytes, variables: msgspec.Raw) -> None:
    """Refuse a name that comes twice: whoever looks at a request on its way could take the other.

    The variables can be large, and names there are data: they are left out.
    """
    rest = body.replace(bytes(variables), b"0", 1)
    try:
        json.loads(rest, object_pairs_hook=_once, parse_int=str, parse_float=str)
    except ValueError as error:
        raise Malformed(f"expected JSON in UTF-8: {error}") from error


def _once(pairs: list[tuple[str, Any]]) -> None:
    names: set[str] = set()
    for name, _ in pairs:
        if name in names:
            raise Malformed(f'"{name}" comes twice in the request')
        names.add(name)


def _read_document(request: _Body) -> tuple[str | None, str | None]:
    """Return the text of the document, or its digest."""
    persisted = request.extensions and request.extensions.persisted_query
    if request.document_id is not None:
        if request.query is not None or persisted:
            raise Malformed("expected documentId alone, or query")
        return None, _read_document_id(request.document_id)
    if persisted and request.query is not None:
        if hashlib.sha256(request.query.encode()).hexdigest() != persisted.sha256_hash:
            raise Malformed("sha256Hash is not the hash of query")
    elif persisted:
        return None, persisted.sha256_hash
    elif request.query is None:
        raise Malformed("expected query, or documentId")
    return request.query, None


def _read_document_id(text: str) -> str:
    found = _DOCUMENT_ID.fullmatch(text)
    if found is None:
        raise Malformed(
            'expected documentId to be "sha256:" and 64 hexadecimal digits in lower case'
        )
    return found[1]
