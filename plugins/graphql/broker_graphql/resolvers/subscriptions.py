"""What is told as it happens."""

from __future__ import annotations

from typing import Any

from broker import Event

from broker_graphql.execution import Execution
from broker_graphql.fields import Resolver


async def events(_: Execution, told: Event, **__: Any) -> Event:
    """Return the event that the operation is executed for; which are, its arguments said before."""
    return told


SUBSCRIPTIONS: dict[str, Resolver] = {"Subscription.events": events}
