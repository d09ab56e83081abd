"""Whether a page of another origin asks: browsers send what any page wants, to everywhere."""

from __future__ import annotations

from urllib.parse import urlsplit

from broker.errors import CrossSite
from broker.http import Request

_OWN_PAGES = frozenset({"same-origin", "none"})


def check_origin(request: Request) -> None:
    """Raise CrossSite if the header Origin tells of another origin than the broker's: of a
    WebSocket, even the answers could be read there (RFC 6455, section 10.2)."""
    origin = request.headers.get("origin")
    if origin is None:  # no browser, or nothing but a GET
        return
    try:
        host = urlsplit(origin).netloc
    except ValueError:
        host = ""
    if not host or host.lower() != request.headers.get("host", "").lower():
        raise CrossSite("a page of another origin cannot do this here")


def check_page(request: Request) -> None:
    """Raise CrossSite if a browser says that a page of another origin asks, for an image maybe
    (Fetch Metadata, https://www.w3.org/TR/fetch-metadata/); where everybody is let in, pages that
    somebody looks at would be, too."""
    check_origin(request)
    if request.headers.get("sec-fetch-site", "none") not in _OWN_PAGES:
        raise CrossSite("a page of another origin cannot do this without credentials")
