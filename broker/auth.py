"""Who asks, and what they may do."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from broker.errors import Unauthenticated
from broker.http import Request
from broker.provider import Provider

Action = Literal["publish", "consume", "read", "manage", "admin"]
"""What somebody may want to do: `admin` with all of the broker, the others with a queue."""

QUEUE_ACTIONS: tuple[Action, ...] = ("read", "consume", "publish", "manage")

_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_SCHEME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """What came with a request, the same for every transport."""

    scheme: str
    """Lower case, `bearer` for example."""
    token: str = msgspec.field(default="")
    """The secret that came with it, which no repr shows: what follows the scheme in the header
    Authorization, as it came. For `basic` that is Base64."""
    peer: str = ""
    """The address of the client."""
    payload: bytes = b""
    """What the token signs, if it is a signature: the body of a webhook, for example."""

    def __repr__(self) -> str:
        return f"Credentials(scheme={self.scheme!r}, token='********', peer={self.peer!r})"


def read_credentials(request: Request) -> Credentials | None:
    """Read what a request's Authorization header says, None without one.

    Raises Unauthenticated if there is another than one that is a scheme and a token (RFC 9110,
    section 11.6.2).
    """
    header = request.headers.get("authorization")
    if header is None:
        return None
    scheme, _, token = header.strip().partition(" ")
    token = token.strip()
    if not token or not _SCHEME.match(scheme):
        problem = 'expected one Authorization header, a scheme and a token: "Bearer ..."'
        raise Unauthenticated(problem)
    return Credentials(scheme=scheme.lower(), token=token, peer=request.peer)


def schemes_of(challenge: str) -> frozenset[str]:
    """Return the schemes, in lower case, that a `WWW-Authenticate` asks for."""
    parts = (part.split() for part in _QUOTED.sub("", challenge).split(","))
    # What follows a scheme after a comma are its parameters.
    return frozenset(words[0].lower() for words in parts if words and "=" not in words[0])


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks."""

    subject: str
    """The name by which events, leases and limits know them."""
    scopes: frozenset[str] = frozenset()
    """What they may do: `action:queue glob`, or `admin`."""
    peer: str = ""
    """The address that they ask from."""
    expires_at: int | None = None
    """Milliseconds UTC when the credentials end, None if they do not."""
    is_anonymous: bool = False
    """Whether this stands for everybody who came without credentials."""


class Authenticator(Provider):
    """Turns credentials into an identity. Asked in the order of the config until one answers.

    One that cannot tell now raises Unavailable. The core never lets an unexpected exception pass
    for anonymous: it is a 503.

    What goes on, a stream or a long-poll, has it found out again every few seconds who asks, by
    the credentials that it began with: it ends when they are good no more.
    """

    challenge: str = "Bearer"
    """What `WWW-Authenticate` says of its credentials to who shows none: their scheme, and perhaps
    parameters (RFC 9110, section 11.6.1), `Basic realm="broker"` for example. "" for what does not
    come in the header Authorization. Read once, while the broker is assembled."""

    security: Mapping[str, Mapping[str, Any]] = {}
    """What the API documentation tells clients of how to show such credentials: Security Scheme
    Objects of OpenAPI, by their names. Empty: those of the schemes in `challenge`. Read once, like
    that."""

    @abstractmethod
    async def authenticate(self, credentials: Credentials) -> Identity | None:
        """Return an Identity, or None for "not mine"; raise Unauthenticated for "mine, and bad"."""

    def read(self, request: Request) -> Credentials | None:  # noqa: ARG002  # what others override
        """Return credentials that a request carries elsewhere than in the header Authorization, a
        signature of its body for example; None if there is nothing of this kind.

        Override it for such a kind only. It is called on the way of every request without that
        header, in the order of the config until one finds something, which all authenticators are
        then asked about. For what is there and cannot be read, raise Unauthenticated: who gets
        None may pass for anonymous. Give what has a payload a scheme that the header cannot have,
        with a colon in it, or somebody shows the token there, and without what it signs.
        """
        return None


class Authorizer(Provider):
    """Decides. At most one plugin provides it; without one, the built-in scope check does."""

    @abstractmethod
    def permits(self, identity: Identity, action: Action, queue: str | None) -> bool:
        """Tell whether the identity may do that; `queue` is None for what concerns no queue.

        Called on the way of every request: answer from memory.
        """

    def permits_some(self, identity: Identity, action: Action) -> bool:  # noqa: ARG002  # what others override
        """Tell whether there can be a queue with which the identity may do that, there or not.

        True if that cannot be told: who asks is then answered queue by queue.
        """
        return True
