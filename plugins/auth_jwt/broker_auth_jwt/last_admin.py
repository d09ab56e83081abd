"""That somebody stays who may do everything."""

from __future__ import annotations

from broker import BrokerError

from broker_auth_jwt.desk import Desk
from broker_auth_jwt.scopes import ADMIN
from broker_auth_jwt.users import User, admins


class LastAdmin(BrokerError):
    """Nobody could do everything any more."""

    code, title, status = "last-admin", "Last admin", 409

    def __init__(self, name: str) -> None:
        super().__init__(
            f'"{name}" is the last admin who can log in; make somebody else one before: '
            f"broker user grant NAME {ADMIN}, or give --force"
        )


async def refuse_last_admin(desk: Desk, leaving: User) -> None:
    """Raise LastAdmin if this user, but nobody else, may do everything.

    That is against mistakes: two admins who disable each other at once are not kept from it.
    """
    if admins(await desk.accounts.users.list(), desk.roles) == {leaving.name}:
        raise LastAdmin(leaving.name)
