"""What may be granted: scopes, and roles, which are names for sets of scopes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

ADMIN = "admin"
"""The scope, and the role, to do everything."""

SHIPPED_ROLES: Mapping[str, tuple[str, ...]] = {
    ADMIN: (ADMIN,),
    "producer": ("publish:*",),
    "consumer": ("consume:*",),
    "viewer": ("read:*",),
}

_SCOPE = re.compile(r"(?:publish|consume|read|manage):[A-Za-z0-9._*?\[\]!-]{1,255}\Z")
_ROLE = re.compile(r"[a-z][a-z0-9_-]{0,63}\Z")


def is_scope(text: str) -> bool:
    """Tell whether a text is `admin`, or an action, a colon and a glob of queue names."""
    return text == ADMIN or _SCOPE.match(text) is not None


def is_role_name(text: str) -> bool:
    """Tell whether a role may have this name: lower case, so that it is never a scope."""
    return _ROLE.match(text) is not None


class Roles:
    """The roles of a broker, by name.

    A *grant* is the name of a role, or a scope. `admin` is both, and means the same as either.
    """

    def __init__(self, roles: Mapping[str, Iterable[str]]) -> None:
        self._scopes = {name: frozenset(scopes) for name, scopes in roles.items()}

    def check(self, grant: str) -> None:
        """Raise ValueError for what is neither a role nor a scope."""
        if grant not in self._scopes and not is_scope(grant):
            known = ", ".join(sorted(self._scopes))
            raise ValueError(
                f'"{grant}" is no role ({known}) and no scope: publish, consume, read or manage, '
                "a colon and a glob of queue names, as in publish:orders-*"
            )

    def scopes_of(self, grants: Iterable[str]) -> frozenset[str]:
        """Return all that is granted; a role that is not configured any more gives nothing."""
        scopes: set[str] = set()
        for grant in grants:
            if grant in self._scopes:
                scopes |= self._scopes[grant]
            elif is_scope(grant):
                scopes.add(grant)
        return frozenset(scopes)
