"""The options of this plugin."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from broker import ACTIVITIES, Activity
from limits import parse_many
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]


def _check_rate(text: str) -> str:
    try:
        items = parse_many(text)
    except ValueError:
        items = []
    if not items or any(item.amount < 1 or item.multiples < 1 for item in items):
        raise ValueError('expected for example "10/minute" or "200/second; 5000/minute"')
    return text


class LimitConfig(BaseModel):
    """One limit: a table `[plugins.ratelimit.limits.<name>]`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rate: Annotated[str, AfterValidator(_check_rate)] = Field(
        description='How much in which time: "200/second", or several, "200/second; 5000/minute".'
    )
    activities: tuple[Activity, ...] = Field(
        default=ACTIVITIES,
        min_length=1,
        description="What is limited; all of them spend from the same.",
    )
    queues: tuple[str, ...] = Field(
        default=(),
        description="Globs of the queues that it is for; without any, for all and for what "
        "concerns no queue.",
    )
    key: Literal["identity", "address", "both"] = Field(
        default="identity",
        description="Who has such a limit to spend: an identity, an address, or each identity at "
        "each address. Who has no identity is an address.",
    )
    cost: Literal["requests", "messages"] = Field(
        default="requests", description="What is counted: a request as one, or its messages."
    )


LOGIN = LimitConfig(rate="10/minute", activities=("login",), key="address")


class RateLimitConfig(BaseModel):
    """The table `[plugins.ratelimit]`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: SecretStr | None = Field(
        default=None,
        description="The Redis or Valkey that counts for several brokers; without it, each "
        "broker counts in its memory.",
    )
    when_unavailable: Literal["local", "allow", "deny"] = Field(
        default="local",
        description="What to do while Redis does not answer: count in memory, let everything "
        "pass, or nothing.",
    )
    limits: dict[Name, LimitConfig | Literal[False]] = Field(
        default_factory=dict,
        description='The limits by name; "login" is there unless it is false.',
    )

    @property
    def all_limits(self) -> dict[str, LimitConfig]:
        """All limits that are in force, by name."""
        named: dict[str, Any] = {"login": LOGIN, **self.limits}
        return {name: limit for name, limit in named.items() if limit}
