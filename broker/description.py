"""What the API documentation tells of a route; said where the route is made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET

from broker.errors import BrokerError

if TYPE_CHECKING:
    from broker.auth import Action


class Body(msgspec.Struct, frozen=True, eq=False):
    """One form in which the body of a request may come."""

    kind: Any = None
    """The type of what it holds, as msgspec has it; `bytes` for anything, None for no body."""
    example: Any = UNSET
    """One such, as JSON has it; that of a request is served as it is."""
    media_type: str = "application/json"
    """How it is written."""


class Answer(Body, frozen=True, kw_only=True, eq=False):
    """One way in which a request is answered that went well; those with the same status are forms
    of the same."""

    status: int = 200
    """The status code of HTTP."""
    headers: tuple[str, ...] = ()
    """The headers that mean something here: `ETag`, `Location`."""


class Description(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What clients have to know of a route beside its method and its path.

    All else is read off: what it does off the handler's docstring, which clients read therefore;
    limits off the types; statuses and titles off the errors.
    """

    name: str
    """What generated clients call it, `create_queue` for example; of one route alone."""
    tag: str
    """Among which others it is listed."""
    needs: tuple[Action, ...] | None = ()
    """What one must be allowed to do; empty: to be known suffices; None: not even that."""
    params: type[msgspec.Struct] | None = None
    """The variable parts of the path."""
    query: type[msgspec.Struct] | None = None
    """What may stand behind the `?`; a struct without fields: nothing may, None: anything."""
    headers: type[msgspec.Struct] | None = None
    """The headers that are read."""
    takes: tuple[Body, ...] = ()
    """The forms of the request's body; none, if it has none."""
    is_body_optional: bool = False
    """Whether the body may be left out."""
    answers: tuple[Answer, ...] = (Answer(),)
    """What it answers when all goes well."""
    security: Mapping[str, Mapping[str, Any]] = {}
    """What else than authenticators read it takes for credentials: Security Scheme Objects of
    OpenAPI, by their names."""
    events: Mapping[str, Body] = {}
    """What a stream tells that is its answer: the data of the events, by their names."""
    errors: tuple[type[BrokerError], ...] = ()
    """What else it may raise than those that go with what it needs, reads and takes."""
