"""Long lists, a page at a time (GraphQL Cursor Connections Specification, by Relay)."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from broker import FieldError, Invalid, Page, QueueStatus, limits

from broker_graphql.resolvers.arguments import ID, MAX_SHOWN

Kind = Literal["queue", "message"]


class Edge(msgspec.Struct, frozen=True):
    """Something on a page, and where it stands."""

    cursor: str
    node: Any


class PageInfo(msgspec.Struct, frozen=True, kw_only=True):
    """Where a page stands."""

    has_next_page: bool
    has_previous_page: bool
    start_cursor: str | None
    end_cursor: str | None


class Connection(msgspec.Struct, frozen=True):
    """A page."""

    edges: list[Edge]
    page_info: PageInfo

    @property
    def nodes(self) -> list[Any]:
        """What is on the page, without cursors."""
        return [edge.node for edge in self.edges]


def read_slice(kind: Kind, first: int, after: str | None) -> str | None:
    """Return where a page begins, None for the beginning; raises Invalid naming all that is wrong.

    That is the place after which it begins, as `write_cursor` was given it.
    """
    errors = []
    if not 1 <= first <= limits.MAX_PAGE:
        errors.append(FieldError("first", f"expected 1 to {limits.MAX_PAGE}", first))
    place = None if after is None else _read_cursor(kind, after)
    if after is not None and place is None:
        errors.append(FieldError("after", f"is no cursor of a {kind}", after[:MAX_SHOWN]))
    if errors:
        raise Invalid(errors)
    return place


def connect_queues(found: Sequence[QueueStatus], *, first: int, after: str | None) -> Connection:
    """Return the page of queues of which one more than `first` was asked for."""
    edges = [Edge(write_cursor("queue", status.queue.name), status) for status in found[:first]]
    end = edges[-1].cursor if edges else None
    return _connect(edges, end, has_next=len(found) > first, after=after)


def connect_messages(page: Page, *, after: str | None) -> Connection:
    """Return a page of messages. It ends where the storage ended it, be it at its very beginning,
    when others of the same operation took all the room there is."""
    edges = [Edge(write_cursor("message", message.id), message) for message in page.messages]
    end = edges[-1].cursor if edges else None
    if page.after is not None:
        end = write_cursor("message", page.after)
    return _connect(edges, end, has_next=page.after is not None, after=after)


def write_cursor(kind: Kind, place: str | int) -> str:
    """Return the cursor of a queue's name, or of a message's id."""
    return urlsafe_b64encode(f"{kind}:{place}".encode()).decode().rstrip("=")


def _read_cursor(kind: Kind, cursor: str) -> str | None:
    try:
        text = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except ValueError:
        return None
    place = text.partition(":")[2]
    if kind == "message" and not ID.match(place):
        return None
    # So it is of this kind; and of all texts for the same bytes, the one that was given.
    return place if write_cursor(kind, place) == cursor else None


def _connect(
    edges: list[Edge], end: str | None, *, has_next: bool, after: str | None
) -> Connection:
    info = PageInfo(
        has_next_page=has_next,
        has_previous_page=after is not None,
        start_cursor=edges[0].cursor if edges else None,
        end_cursor=end,
    )
    return Connection(edges, info)
