"""Callers who are let in by a key of a fixed form."""

import hmac

import broker

KEY = "acme-2b0f6a"


class AcmeAuthenticator(broker.Authenticator):
    """Knows one key, sent as `Authorization: Bearer acme-...`."""

    async def authenticate(self, credentials: broker.Credentials) -> broker.Identity | None:
        """Leave what is no key of this kind to the next in the chain, and refuse a wrong one."""
        if credentials.scheme != "bearer" or not credentials.token.startswith("acme-"):
            return None
        if not hmac.compare_digest(credentials.token.encode(), KEY.encode()):
            raise broker.InvalidToken
        return broker.Identity(
            subject="robot", scopes=frozenset({"publish:orders-*"}), peer=credentials.peer
        )


@broker.hookimpl
def provide_authenticator(plugin: broker.PluginContext) -> broker.Authenticator:
    """Return one link of the chain."""
    return AcmeAuthenticator()
