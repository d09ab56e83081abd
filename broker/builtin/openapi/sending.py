"""Documents that clients may keep, and ask for again only if they changed."""

from __future__ import annotations

from functools import cached_property
from hashlib import sha256

import msgspec

from broker import Request, Response

CACHED = ("cache-control", "no-cache")
"""Keep it, and ask each time whether it is still the same (RFC 9111, section 5.2.2.4)."""

Headers = tuple[tuple[str, str], ...]


class Document(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """What is sent to whoever asks."""

    body: bytes
    media_type: str

    @cached_property
    def tag(self) -> str:
        """The ETag."""
        return f'"{sha256(self.body).hexdigest()[:32]}"'


def send(request: Request, document: Document, headers: Headers = ()) -> Response:
    """Return the document, or that the client has it already (RFC 9110, section 13.1.2)."""
    tag = ("etag", document.tag)
    if _has(request, document.tag):
        return Response(status=304, headers=(tag, CACHED))
    sent = (("content-type", document.media_type), tag, CACHED, *headers)
    sniffless = ("x-content-type-options", "nosniff")
    return Response(body=document.body, headers=(*sent, sniffless), is_shared=True)


def _has(request: Request, tag: str) -> bool:
    known = request.headers.get("if-none-match", "").split(",")
    return any(one.strip().removeprefix("W/") in (tag, "*") for one in known)
