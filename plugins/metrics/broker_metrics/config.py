"""The options of this plugin."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Annotated, NamedTuple
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator


class Address(NamedTuple):
    """Where a listener is."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """The URL of it, without a path."""
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    @property
    def is_of_this_machine(self) -> bool:
        """Whether nobody reaches it from elsewhere."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


DEFAULT_ADDRESS = Address("127.0.0.1", 9464)
"""The port that OpenTelemetry's exporters for Prometheus have, too."""


def read_address(text: str) -> Address:
    """Return the address that `host:port` names; raises ValueError."""
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if host is None or port is None or parts.netloc != text or "@" in text:
        raise ValueError("expected host:port, 127.0.0.1:9464 for example")
    return Address(host, port)


def _check_address(text: str) -> str:
    read_address(text)
    return text


class MetricsConfig(BaseModel):
    """The table `[plugins.metrics]`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    listen: Annotated[str, AfterValidator(_check_address)] | None = Field(
        default=None,
        description='Where `/metrics` has a listener of its own: `"127.0.0.1:9464"`, unless there '
        "is a token.",
    )
    token: SecretStr | None = Field(
        default=None,
        min_length=16,
        description="What a scrape has to show, as `Authorization: Bearer`; with it, `/metrics` is "
        "on the broker's own port.",
    )

    @model_validator(mode="after")
    def _demand_token(self) -> MetricsConfig:
        address = self.address
        if address is not None and not address.is_of_this_machine and self.token is None:
            raise ValueError(
                f"listen = {self.listen!r} can be reached from other machines: set a token, too"
            )
        return self

    @property
    def address(self) -> Address | None:
        """Where the listener is, None if there is none."""
        if self.listen is not None:
            return read_address(self.listen)
        return DEFAULT_ADDRESS if self.token is None else None
