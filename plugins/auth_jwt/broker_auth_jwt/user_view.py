"""What administrators are told of a user."""

from __future__ import annotations

import msgspec
from broker import timestamp

from broker_auth_jwt.desk import Desk
from broker_auth_jwt.users import User


class UserView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is told of a user, and never the password's hash."""

    name: str
    grants: list[str]
    scopes: list[str]
    disabled: bool
    created_at: str
    changed_at: str
    sessions: int | None = None
    """How many logins are open."""


def view_user(desk: Desk, user: User) -> UserView:
    """Show a user, with the scopes that the grants come to."""
    return UserView(
        name=user.name,
        grants=sorted(user.grants),
        scopes=desk.scopes_of(user.grants),
        disabled=user.disabled,
        created_at=timestamp(user.created_at),
        changed_at=timestamp(user.changed_at),
    )
