"""Who sent a bearer token: a user, a service, or somebody whom another issuer vouches for."""

from __future__ import annotations

from collections.abc import Sequence

from broker import Authenticator, Credentials, Identity

from broker_auth_jwt.first_start import make_first_admin
from broker_auth_jwt.parts import Parts


class TokenAuthenticator(Authenticator):
    """Takes bearer tokens that this broker issued, and those of the issuers that it trusts."""

    security = {  # noqa: RUF012  # it is read, and never written
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "The `access_token` that POST /login gives, or a token of a program.",
        },
        "password": {
            "type": "oauth2",
            "description": "The name of a user and their password, for such a token; OAuth2's "
            "password grant, as POST /login has it.",
            "flows": {"password": {"tokenUrl": "login", "scopes": {}}},
        },
    }

    def __init__(self, parts: Parts) -> None:
        self.parts = parts

    async def open(self) -> None:
        """Open the database of users, the signing keys, and connections to other issuers."""
        await self.parts.open()

    async def close(self) -> None:
        """Close them."""
        await self.parts.close()

    async def ping(self) -> None:
        """Raise if users and tokens cannot be looked up."""
        await self.parts.accounts.ping()

    async def notices(self) -> Sequence[str]:
        """Make the first user, if there is none, and tell the password."""
        return await make_first_admin(self.parts)

    async def authenticate(self, credentials: Credentials) -> Identity | None:
        """Return who has this token, None if it is of another kind; raises InvalidToken."""
        if credentials.scheme != "bearer":
            return None
        verified = await self.parts.bearer_tokens.verify(credentials.token)
        return None if verified is None else verified.identity(credentials.peer)
