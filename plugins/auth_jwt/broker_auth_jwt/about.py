"""What the API documentation tells of this plugin's routes."""

from __future__ import annotations

import msgspec
from broker import (
    Answer,
    Body,
    CrossSite,
    Description,
    Moment,
    Overloaded,
    RateLimited,
    Unauthenticated,
    Unavailable,
    WrongState,
)

from broker_auth_jwt.login_form import FORM, LoginForm
from broker_auth_jwt.logins import Pair

TAG = "Logging in"

EXAMPLE = {
    "access_token": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZG1pbiJ9.signature",
    "refresh_token": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZG1pbiJ9.signature",
    "token_type": "bearer",
    "expires_in": 900,
}
TOKENS = Answer(Pair, EXAMPLE, headers=("Cache-Control",))


class MeView(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks, what they may do, and until when."""

    subject: str
    """The name of the user, or the program."""
    scopes: list[str]
    """What they may do."""
    expires_at: Moment | None
    """When the token ends; null: it does not."""


class KeysView(msgspec.Struct, frozen=True, kw_only=True):
    """A JWK Set."""

    keys: list[dict[str, str]]
    """One for each public key (RFC 7517), the one that signs now first; none with HMAC."""


LOGIN = Description(
    name="log_in",
    tag=TAG,
    needs=None,
    takes=(Body(LoginForm, {"username": "admin", "password": "correct horse"}, FORM),),
    answers=(TOKENS,),
    errors=(Unauthenticated, CrossSite, RateLimited),
)
REFRESH = Description(
    name="refresh_tokens",
    tag=TAG,
    answers=(TOKENS,),
)
LOGOUT = Description(
    name="log_out",
    tag=TAG,
    answers=(Answer(status=204),),
    errors=(WrongState,),
)
ME = Description(
    name="get_me",
    tag=TAG,
    answers=(
        Answer(
            MeView,
            {
                "subject": "worker-1",
                "scopes": ["consume:orders"],
                "expires_at": "2026-11-22T21:45:00.000Z",
            },
            headers=("Cache-Control",),
        ),
    ),
)
PUBLIC_KEYS = Description(
    name="get_public_keys",
    tag=TAG,
    needs=None,
    answers=(
        Answer(
            KeysView,
            {"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "2026-11", "x": "11qYAYKx"}]},
            headers=("Cache-Control",),
        ),
    ),
    errors=(Unavailable, Overloaded),
)
