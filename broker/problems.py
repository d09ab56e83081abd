"""Errors as `application/problem+json` (RFC 9457), the same for every HTTP transport."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from broker.errors import BrokerError, Forbidden, Unauthenticated
from broker.http import Request, Response


def problem_response(error: BrokerError, request: Request) -> Response:
    """Return the response that tells a client of an error."""
    headers: list[tuple[str, str]] = []
    if isinstance(error, Unauthenticated):
        headers.append(("www-authenticate", error.challenge))
    if isinstance(error, Forbidden):
        scope = f'Bearer error="insufficient_scope", scope="{error.scope}"'
        headers.append(("www-authenticate", scope))
    if error.retry_after is not None:
        headers.append(("retry-after", str(math.ceil(error.retry_after))))
    extra: dict[str, Any] = {"errors": list(error.errors)} if error.errors else {}
    return problem(
        request,
        status=error.status,
        code=error.code,
        title=error.title,
        detail=str(error),
        headers=tuple(headers),
        extra=extra,
    )


def problem(
    request: Request,
    *,
    status: int,
    code: str,
    title: str,
    detail: str,
    headers: tuple[tuple[str, str], ...] = (),
    extra: dict[str, Any] | None = None,
) -> Response:
    """Return a problem document; `code` is stable, `detail` is for people."""
    body = {
        "type": f"urn:replika-broker:problem:{code}",
        "title": title,
        "status": status,
        "code": code,
        "detail": detail,
        "instance": request.path,
        "request_id": request.request_id,
        **(extra or {}),
    }
    return Response(
        status=status,
        body=msgspec.json.encode(body),
        headers=(("content-type", "application/problem+json"), *headers),
    )
