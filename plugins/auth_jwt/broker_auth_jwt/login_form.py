"""The form that a login sends: OAuth2's password grant (RFC 6749, section 4.3.2)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal
from urllib.parse import parse_qs

import msgspec
from broker import FieldError, Invalid, MessageTooLarge, Request, UnsupportedMediaType
from msgspec import Meta

FORM = "application/x-www-form-urlencoded"
MAX_FORM_BYTES = 16 * 1024
MAX_FIELDS = 16
MAX_USERNAME_CHARACTERS = 128
MAX_PASSWORD_BYTES = 1024


class LoginForm(msgspec.Struct, frozen=True, kw_only=True):
    """A password grant."""

    username: Annotated[str, Meta(min_length=1, max_length=MAX_USERNAME_CHARACTERS)]
    """Who logs in."""
    password: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=MAX_PASSWORD_BYTES,
            extra_json_schema={"format": "password"},
        ),
    ]
    """Their password."""
    grant_type: Literal["password"] = "password"  # the name of a kind, no secret
    """How they log in."""


def read_login(request: Request) -> tuple[str, str]:
    """Return the user name and the password; other fields of the grant mean nothing here.

    Raises UnsupportedMediaType, MessageTooLarge, and Invalid, which repeats nothing of the form.
    """
    media_type, _, _ = request.headers.get("content-type", "").partition(";")
    if media_type.strip().lower() != FORM:
        raise UnsupportedMediaType(f"expected the Content-Type {FORM}")
    if len(request.body) > MAX_FORM_BYTES:
        raise MessageTooLarge(f"the form exceeds {MAX_FORM_BYTES} bytes")
    try:
        form = parse_qs(
            request.body.decode(),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MAX_FIELDS,
        )
    except ValueError:
        problem = f"expected at most {MAX_FIELDS} fields of UTF-8"
        raise Invalid([FieldError("form", problem)]) from None
    errors = list(_errors(form))
    if errors:
        raise Invalid(errors)
    return form["username"][0], form["password"][0]


def _errors(form: Mapping[str, list[str]]) -> Iterator[FieldError]:
    for name in ("username", "password"):
        given = form.get(name, [])
        if not any(given):
            yield FieldError(name, "is required")
        elif len(given) > 1:
            yield FieldError(name, "is given more than once")
    if len(form.get("username", [""])[0]) > MAX_USERNAME_CHARACTERS:
        yield FieldError("username", f"expected at most {MAX_USERNAME_CHARACTERS} characters")
    if len(form.get("password", [""])[0].encode()) > MAX_PASSWORD_BYTES:
        yield FieldError("password", f"expected at most {MAX_PASSWORD_BYTES} bytes")
    if form.get("grant_type", ["password"]) != ["password"]:
        yield FieldError("grant_type", 'expected "password"')
