"""The options of this plugin."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from broker import ACTIVITIES, Activity
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
)

from broker_ratelimit.counters import Window
from broker_ratelimit.rates import read_rate
from broker_ratelimit.redis_url import check_redis_url

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_NAME_OF_A_WINDOW = re.compile(r".*-[0-9]+s")


def _check_name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError("expected a name of a-z 0-9 _ -")
    if _NAME_OF_A_WINDOW.fullmatch(text):
        raise ValueError('a name that ends like "-60s" is that of one window of a limit')
    return text


def _check_rate(text: str) -> str:
    read_rate(text)
    return text


Name = Annotated[str, AfterValidator(_check_name)]
Glob = Annotated[str, Field(pattern=r"^[A-Za-z0-9._*?\[\]!-]{1,255}$")]


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
    queues: tuple[Glob, ...] | None = Field(
        default=None,
        min_length=1,
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

    @field_validator("queues")
    @classmethod
    def _check_queues(
        cls, queues: tuple[str, ...] | None, info: ValidationInfo
    ) -> tuple[str, ...] | None:
        # What was refused before is not there at all.
        if queues and info.data.get("activities") == ("login",):
            raise ValueError("a login concerns no queue; leave this out, or limit something else")
        return queues

    @property
    def windows(self) -> tuple[Window, ...]:
        """Return what the rate says, the shortest first."""
        return read_rate(self.rate)


LOGIN = LimitConfig(rate="10/minute", activities=("login",), key="address")


class RateLimitConfig(BaseModel):
    """The table `[plugins.ratelimit]`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: Annotated[SecretStr, AfterValidator(check_redis_url)] | None = Field(
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
        validate_default=True,
        description='The limits by name; "login" is there unless it is false.',
    )

    @field_validator("limits")
    @classmethod
    def _add_login(cls, limits: dict[str, Any]) -> dict[str, Any]:
        return {"login": LOGIN, **limits}

    @property
    def all_limits(self) -> dict[str, LimitConfig]:
        """All limits that are in force, by name."""
        return {name: limit for name, limit in self.limits.items() if limit}
