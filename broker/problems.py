"""Errors as `application/problem+json` (RFC 9457), the same for every HTTP transport."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import msgspec

from broker.auth import Authenticator
from broker.errors import BrokerError, FieldError, Forbidden, Unauthenticated
from broker.http import Request, Response


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What went wrong with a request, as every error is answered."""

    type: str
    """`urn:replika-broker:problem:` and the code."""
    title: str
    """What it is in general, for people."""
    status: int
    """The status code of HTTP."""
    code: str
    """By which programs know it; it never changes."""
    detail: str
    """What it is this time, for people."""
    instance: str
    """The path that was asked."""
    request_id: str
    """By which log lines know the request."""
    errors: Sequence[FieldError] = ()
    """The refused fields, each with why."""
    checks: dict[str, str] = {}
    """How each plugin is: `ok`, or what is wrong with it; for who may `admin`."""


def problem_response(
    error: BrokerError, request: Request, *, challenge: str = Authenticator.challenge
) -> Response:
    """Return the response that tells a client of an error; the challenge is for those that have
    none of their own."""
    headers: list[tuple[str, str]] = []
    if isinstance(error, Unauthenticated):
        asked_for = challenge if error.challenge is None else error.challenge
        headers.append(("www-authenticate", asked_for))
    if isinstance(error, Forbidden) and error.challenge is not None:
        headers.append(("www-authenticate", error.challenge))
    if error.retry_after is not None:
        headers.append(("retry-after", str(math.ceil(error.retry_after))))
    return problem(
        request,
        status=error.status,
        code=error.code,
        title=error.title,
        detail=str(error),
        headers=tuple(headers),
        errors=tuple(error.errors),
        checks=error.checks,
    )


def problem(
    request: Request,
    *,
    status: int,
    code: str,
    title: str,
    detail: str,
    headers: tuple[tuple[str, str], ...] = (),
    errors: Sequence[FieldError] = (),
    checks: Mapping[str, str] = MappingProxyType({}),
) -> Response:
    """Return a problem document; `code` is stable, `detail` is for people."""
    body = Problem(
        type=f"urn:replika-broker:problem:{code}",
        title=title,
        status=status,
        code=code,
        detail=detail,
        instance=request.path,
        request_id=request.request_id,
        errors=errors,
        checks=dict(checks),
    )
    return Response(
        status=status,
        body=msgspec.json.encode(body),
        headers=(("content-type", "application/problem+json"), *headers),
    )
