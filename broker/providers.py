"""What plugins provided, as the engine has it."""

from __future__ import annotations

import msgspec

from broker.auth import Authenticator, Authorizer
from broker.extend import Interceptor, Observer
from broker.provider import Provider
from broker.ratelimit import RateLimiter
from broker.storage import Storage


class Providers(msgspec.Struct, frozen=True, kw_only=True):
    """What plugins provided, each with its plugin's name, in the order of the config."""

    storage: tuple[str, Storage]
    authorizer: tuple[str, Authorizer]
    authenticators: tuple[tuple[str, Authenticator], ...] = ()
    limiter: tuple[str, RateLimiter] | None = None
    interceptors: tuple[tuple[str, Interceptor], ...] = ()
    observers: tuple[tuple[str, Observer], ...] = ()

    def in_order(self) -> tuple[tuple[str, Provider], ...]:
        """Return all of them in the order of opening."""
        limiter = () if self.limiter is None else (self.limiter,)
        return (
            self.storage,
            *limiter,
            *self.authenticators,
            self.authorizer,
            *self.interceptors,
            *self.observers,
        )
