"""The answer to what is no request, or too much of one, before any transport sees it."""

from __future__ import annotations

import logging
import secrets
from http import HTTPStatus

from broker.http import Request
from broker.problems import problem
from broker.serving.endpoint import IDLE_SECONDS, MAX_FIELDS, MAX_HEAD_BYTES

logger = logging.getLogger("broker.serving")

Headers = list[tuple[bytes, bytes]]

_DETAILS = {
    HTTPStatus.BAD_REQUEST: "this is not a valid request of HTTP",
    HTTPStatus.REQUEST_TIMEOUT: f"the headers did not come within {IDLE_SECONDS} s",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: (
        f"the request line and its headers exceed {MAX_HEAD_BYTES} bytes, or the headers are more "
        f"than {MAX_FIELDS}"
    ),
    HTTPStatus.NOT_IMPLEMENTED: "of transfer codings, only one is known: chunked",
}


def make_refusal(
    status: int, *, path: str = "", level: int = logging.INFO
) -> tuple[Headers, bytes]:
    """Return the headers and the body of a problem document; all that came is to be forgotten, so
    the connection closes. The log is told, at this level, what the client calls it."""
    reason = HTTPStatus(status)
    request_id = secrets.token_hex(8)
    detail = _DETAILS.get(reason, reason.description or reason.phrase)
    told = {"request_id": request_id, "status": status}
    logger.log(level, "refused: %s", detail, extra=told)
    document = problem(
        Request(method="", path=path, request_id=request_id),
        status=status,
        code=reason.phrase.lower().replace(" ", "-"),
        title=reason.phrase,
        detail=detail,
    )
    fields = [
        *document.headers,
        ("content-length", str(len(document.body))),
        ("x-request-id", request_id),
        ("connection", "close"),
    ]
    return [(name.encode(), value.encode()) for name, value in fields], document.body
