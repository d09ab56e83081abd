"""The ten hooks. Each is called while the broker is assembled, never while it serves.

A plugin is a module (or package) named by an entry point in the group `broker.plugins`; it
implements any of these with `@broker.hookimpl`. All hooks are synchronous. A provider hook
returns an object or None; the object does the work.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    import click
    from pydantic import BaseModel

    from broker.auth import Authenticator, Authorizer
    from broker.context import PluginContext
    from broker.engine import Broker
    from broker.extend import Interceptor, Observer, Transport
    from broker.ratelimit import RateLimiter
    from broker.storage import Storage

PROJECT = "broker"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Decorates the functions of a plugin that implement hooks."""


@hookspec
def config_schema() -> type[BaseModel]:  # type: ignore[empty-body]  # a specification has no body
    """Return the pydantic model that `[plugins.<name>]` is validated with."""


@hookspec
def register_commands(cli: click.Group) -> None:
    """Add click commands to `cli`, which is `broker`.

    In them `click.pass_obj` gives the plugin's PluginContext. Each takes `--config` without
    saying so. What it raises of BrokerError and OSError becomes lines on stderr and an exit code.
    """


@hookspec
def provide_storage(plugin: PluginContext) -> Storage | None:
    """Return where queues and messages are kept. One plugin wins; none: memory, with a warning."""


@hookspec
def provide_rate_limiter(plugin: PluginContext) -> RateLimiter | None:
    """Return what limits how much an identity may ask. At most one plugin may."""


@hookspec
def provide_authenticator(plugin: PluginContext) -> Authenticator | None:
    """Return what recognises one kind of credentials. All are asked, in the config's order."""


@hookspec
def provide_authorizer(plugin: PluginContext) -> Authorizer | None:
    """Return what decides who may do what. At most one plugin may; none: scopes."""


@hookspec
def provide_interceptor(plugin: PluginContext) -> Interceptor | None:
    """Return what validates or transforms a batch before it is published."""


@hookspec
def provide_observer(plugin: PluginContext) -> Observer | None:
    """Return what is told of everything that happened."""


@hookspec
def provide_transport(plugin: PluginContext, broker: Broker) -> Transport | None:
    """Return a way in and out for clients; `broker` is all that it may call."""


@hookspec
def provide_lifespan(
    plugin: PluginContext, broker: Broker
) -> AbstractAsyncContextManager[None] | None:
    """Return background work as a context manager, entered after the storage is open."""
