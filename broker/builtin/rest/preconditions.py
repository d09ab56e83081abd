"""ETags of queues, and the requests that depend on them (RFC 9110, section 13)."""

from __future__ import annotations

import re
from typing import Final, Literal

from broker import BrokerError, FieldError, Invalid, Queue, Request, VersionMismatch

_ETAG = re.compile(r'"v([1-9][0-9]{0,17})"\Z')

ANY: Final = "*"


class PreconditionFailed(VersionMismatch):
    """The queue is not as the request's If-Match or If-None-Match demands."""

    def __init__(self, detail: str) -> None:
        BrokerError.__init__(self, detail)


def etag(queue: Queue) -> tuple[str, str]:
    """Return the header that names the version of a queue."""
    return "etag", f'"v{queue.version}"'


def read_if_match(request: Request) -> int | Literal["*"] | None:
    """Return the version that the queue must be at, `*` for whichever, None for no condition.

    Anything else, weak tags and lists too, matches nothing: raises PreconditionFailed.
    """
    header = request.headers.get("if-match")
    if header is None:
        return None
    value = header.strip()
    if value == ANY:
        return ANY
    found = _ETAG.match(value)
    if found is None:
        raise PreconditionFailed('If-Match: expected the ETag of the queue, such as "v7", or *')
    return int(found[1])


def read_must_be_new(request: Request) -> bool:
    """Tell whether If-None-Match demands that there is no such queue yet; raises Invalid."""
    header = request.headers.get("if-none-match")
    if header is None:
        return False
    if header.strip() != ANY:
        raise Invalid([FieldError("If-None-Match", "expected *", header[:100])])
    return True
