"""The plugin `auth_jwt`: users, tokens and what they may do.

What serves is imported when it is asked for, so that commands are there at once.
"""

from contextlib import AbstractAsyncContextManager

import click
from broker import Authenticator, Broker, Observer, PluginContext, Transport, hookimpl
from pydantic import BaseModel

from broker_auth_jwt.config import AuthConfig
from broker_auth_jwt.key_commands import key
from broker_auth_jwt.token_commands import token
from broker_auth_jwt.user_commands import user


@hookimpl
def config_schema() -> type[BaseModel]:
    """Return what `[plugins.auth_jwt]` may hold."""
    return AuthConfig


@hookimpl
def register_commands(cli: click.Group) -> None:
    """Add `broker user`, `broker token` and `broker key`."""
    cli.add_command(user)
    cli.add_command(token)
    cli.add_command(key)


@hookimpl
def provide_authenticator(plugin: PluginContext) -> Authenticator:
    """Return what takes bearer tokens; it opens and closes what all the others use."""
    from broker_auth_jwt.authenticator import TokenAuthenticator
    from broker_auth_jwt.parts import Parts

    return TokenAuthenticator(plugin.once(Parts))


@hookimpl
def provide_transport(plugin: PluginContext, broker: Broker) -> Transport:
    """Return the routes that give tokens."""
    from broker_auth_jwt.parts import Parts
    from broker_auth_jwt.routes import LoginTransport

    return LoginTransport(broker, plugin.once(Parts))


@hookimpl
def provide_observer(plugin: PluginContext) -> Observer:
    """Return the audit, which is told when queues are deleted or purged."""
    from broker_auth_jwt.parts import Parts

    return plugin.once(Parts).audit


@hookimpl
def provide_lifespan(plugin: PluginContext) -> AbstractAsyncContextManager[None]:
    """Return the upkeep."""
    from broker_auth_jwt.parts import Parts
    from broker_auth_jwt.upkeep import kept_up

    return kept_up(plugin.once(Parts))
