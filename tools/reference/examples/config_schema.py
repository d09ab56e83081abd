"""Options that `[plugins.acme]` may have."""

from pydantic import BaseModel, Field, SecretStr

import broker


class AcmeConfig(BaseModel):
    """What `[plugins.acme]` says."""

    password: SecretStr = Field(description="What opens the store")
    path: str = Field("acme.db", description="The file, relative to `broker.data_dir`")


@broker.hookimpl
def config_schema() -> type[BaseModel]:
    """Return what the table is validated with; `plugin.config` is an instance of it."""
    return AcmeConfig
