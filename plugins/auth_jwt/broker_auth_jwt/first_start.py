"""The first user: no broker has a password that is known before it starts."""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence

from broker import ConfigError

from broker_auth_jwt.parts import Parts
from broker_auth_jwt.passwords import check_password
from broker_auth_jwt.scopes import ADMIN
from broker_auth_jwt.users import admins

VARIABLE = "BROKER_ADMIN_PASSWORD"

NO_ADMIN = f"no user may do everything; let one: broker user grant NAME {ADMIN}"


async def make_first_admin(parts: Parts) -> Sequence[str]:
    """Make `admin` if there is no user at all; return what to tell whoever starts the broker.

    Raises ConfigError if the password that was given for it is not good enough.
    """
    users = await parts.accounts.users.list()
    if users:
        return () if admins(users, parts.roles) else (NO_ADMIN,)
    given = os.environ.get(VARIABLE)
    password = secrets.token_urlsafe(18) if given is None else given
    try:
        check_password(password)
    except ValueError as error:
        raise ConfigError(
            f"{VARIABLE}: {error}; set a better one, or none: one is drawn then"
        ) from error
    is_made = await parts.accounts.users.make_first(
        ADMIN,
        password_hash=await parts.passwords.hash(password),
        grants=[ADMIN],
        now=parts.clock.now(),
    )
    if not is_made:
        return ()  # another broker on the same database was faster
    parts.audit.record("user.added", subject="broker", user=ADMIN)
    if given is not None:
        return (f'made the first user "{ADMIN}", with the password from {VARIABLE}',)
    return (
        f'made the first user "{ADMIN}" with the password {password}',
        "this password is not shown again; change it: broker user passwd admin",
    )
