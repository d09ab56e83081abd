"""The plugin `auth_jwt`: users, tokens and what they may do."""

from broker import hookimpl
from pydantic import BaseModel

from broker_auth_jwt.config import AuthConfig


@hookimpl
def config_schema() -> type[BaseModel]:
    """Return what `[plugins.auth_jwt]` may hold."""
    return AuthConfig
