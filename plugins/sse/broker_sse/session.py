"""A session in a cookie: the credentials of a page, which its browser sends with each stream.

All of it is in the cookie, so that it is good on every node and ends with the credentials. It
opens streams of events and nothing else: whatever changes something demands a header, which no
other site's page can send.
"""

from __future__ import annotations

from urllib.parse import quote, unquote

from broker import Credentials, CrossSite, Malformed, Request, Unauthenticated

NAME = "broker_session"

HOST_NAME = f"__Host-{NAME}"
"""Over HTTPS. Browsers take a cookie of such a name from this very host only, and keep it from
whatever is not HTTPS (RFC 6265bis, section 4.1.3.2)."""

MOST_BYTES = 4096
"""How long a name and a value may be together; browsers drop a longer one without a word (RFC
6265bis, section 5.6)."""

ATTRIBUTES = "Path=/; HttpOnly; SameSite=Strict"


def write_session(request: Request, credentials: Credentials, *, seconds: int | None) -> str:
    """Return the `Set-Cookie` that keeps the credentials for so long; None: until the browser is
    closed. Raises Malformed for credentials that no cookie can hold."""
    # What a proxy made of HTTPS is not known here, but browsers tell how their page came.
    is_plain = request.headers.get("origin", "").startswith("http://")
    name = NAME if is_plain else HOST_NAME
    value = quote(f"{credentials.scheme} {credentials.token}", safe="")
    if len(name) + len(value) > MOST_BYTES:
        raise Malformed(
            "these credentials are too long for a cookie; use tickets: POST /events/ticket"
        )
    return _set_cookie(name, value, max_age=seconds)


def clear_session() -> tuple[str, str]:
    """Return the `Set-Cookie`s after which there is no session, by whichever name."""
    return (_set_cookie(NAME, "", max_age=0), _set_cookie(HOST_NAME, "", max_age=0))


def read_session(request: Request) -> Credentials | None:
    """Return what a request's cookie keeps, None without one; raises Unauthenticated for one that
    was not made here or is there twice, and CrossSite."""
    # Nothing but spaces and tabs is taken away: of a name that begins with another kind of space
    # a browser does not demand what it demands of `__Host-`.
    cookies = [
        cookie.strip(" \t").partition("=")
        for cookie in request.headers.get("cookie", "").split(";")
    ]
    for name in (HOST_NAME, NAME):
        values = [value for found, _, value in cookies if found == name]
        if len(values) > 1:
            raise Unauthenticated(f'expected one cookie "{name}"')
        if values:
            # A page of another origin can be of the same site: on another port, for example.
            if request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
                raise CrossSite(
                    "a page of another origin cannot open streams by the cookie of this one"
                )
            scheme, _, token = unquote(values[0]).partition(" ")
            if not token:
                raise Unauthenticated(f'the cookie "{name}" is none that this broker made')
            return Credentials(scheme=scheme, token=token, peer=request.peer)
    return None


def _set_cookie(name: str, value: str, *, max_age: int | None) -> str:
    secure = "; Secure" if name == HOST_NAME else ""
    age = "" if max_age is None else f"; Max-Age={max_age}"
    return f"{name}={value}; {ATTRIBUTES}{secure}{age}"
