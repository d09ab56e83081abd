"""The plugin `auth_webhook`: who sends a webhook is known by its signature."""

from broker import Authenticator, PluginContext, hookimpl
from pydantic import BaseModel

from broker_auth_webhook.authenticator import WebhookAuthenticator
from broker_auth_webhook.config import WebhookConfig


@hookimpl
def config_schema() -> type[BaseModel]:
    """Return what `[plugins.auth_webhook]` may hold."""
    return WebhookConfig


@hookimpl
def provide_authenticator(plugin: PluginContext) -> Authenticator:
    """Return what knows senders by their signatures."""
    return WebhookAuthenticator(plugin.config, plugin.clock.now)
