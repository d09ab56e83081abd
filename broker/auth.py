"""Who asks, and what they may do."""

from __future__ import annotations

import re
from abc import abstractmethod
from typing import Literal

import msgspec

from broker.errors import Unauthenticated
from broker.http import Request
from broker.provider import Provider

Action = Literal["publish", "consume", "read", "manage", "admin"]

QUEUE_ACTIONS: tuple[Action, ...] = ("read", "consume", "publish", "manage")

_SCHEME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """What came with a request, the same for every transport."""

    scheme: str
    """Lower case, `bearer` for example."""
    token: str = msgspec.field(default="")
    peer: str = ""
    """The address of the client."""

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


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks. `scopes` are `action:queue glob` or `admin`."""

    subject: str
    scopes: frozenset[str] = frozenset()
    peer: str = ""
    expires_at: int | None = None
    """Milliseconds UTC when the credentials end, None if they do not."""
    is_anonymous: bool = False
    """Whether this stands for everybody who came without credentials."""


class Authenticator(Provider):
    """Turns credentials into an identity. Asked in the order of the config until one answers.

    One that cannot tell now raises Unavailable. The core never lets an unexpected exception pass
    for anonymous: it is a 503.
    """

    @abstractmethod
    async def authenticate(self, credentials: Credentials) -> Identity | None:
        """Return an Identity, or None for "not mine"; raise Unauthenticated for "mine, and bad"."""


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
