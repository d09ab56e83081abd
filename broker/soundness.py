"""What may be sent as an answer, whoever made it: all else is that one's failure, and not the
server's, which would break off a connection for it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from http import HTTPStatus

from broker.http import Response
from broker.stream import Stream

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]*")

_WITHOUT_BODY = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})


def check_response(response: Response) -> None:
    """Raise TypeError or ValueError for a response that HTTP cannot tell."""
    if type(response.body) is not bytes or type(response.headers) is not tuple:
        raise TypeError("the body of a response is bytes, and its headers are a tuple")
    if not isinstance(response.stream, Stream | None):
        raise TypeError(f"{type(response.stream).__name__} is no Stream")
    if response.body and response.status in _WITHOUT_BODY:
        raise ValueError(f"an answer with status {response.status} has no body")
    check_head(response.status, response.headers)


def check_head(status: int, headers: Iterable[tuple[str, str]]) -> None:
    """Raise TypeError or ValueError for a status and headers that no final answer has (RFC 9110,
    sections 5.5, 5.6.2 and 15)."""
    if type(status) is not int or not 200 <= status <= 599:  # noqa: PLR2004  # as the RFC says
        raise ValueError(f"{status!r} is no status of an answer")
    for name, value in headers:
        if not _is_name(name):
            raise ValueError(f"{name!r} is no name of a header")
        if not _VALUE.fullmatch(value) or value.strip(" \t") != value:
            raise ValueError(f'the value of the header "{name}" cannot be sent: {value!r:.100}')


@lru_cache(maxsize=256)
def _is_name(name: str) -> bool:
    return _NAME.fullmatch(name) is not None
