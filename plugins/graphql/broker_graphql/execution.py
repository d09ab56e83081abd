"""One execution of an operation: who asks, and what the resolvers share."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec
from broker import (
    Broker,
    BrokerError,
    Delivery,
    Identity,
    MessageQuery,
    MessageTooLarge,
    Page,
    QueueStatus,
    Recheck,
    limits,
)

from broker_graphql.gate.cost import Price
from broker_graphql.gate.refusal import Refused
from broker_graphql.loaders import Loader

INTERNAL = "Internal error"

MAX_CONTENT_BYTES = 2 * limits.MAX_BATCH_BYTES
"""How much of contents a result tells, each as often as it is asked for: as large as a page is at
most. Fifteen names for the same would take a gigabyte, and seconds of the event loop."""

MAX_FINAL_BYTES = 64 * 1024
"""As much of a result that nobody keeps from its client, however many wait to be taken."""

BELIEVED_MS = 5_000
"""For how long who asks is taken for who it was, by fields that are done one after the other."""


class Execution:
    """What resolvers are given. They call `broker`, and nothing behind it."""

    def __init__(
        self,
        broker: Broker,
        identity: Identity,
        *,
        request_id: str,
        logger: logging.Logger,
        recheck: Recheck | None = None,
    ) -> None:
        """`recheck` finds out anew who asks, for what waits."""
        self.broker = broker
        self.identity = identity
        self.request_id = request_id
        self.recheck = recheck
        self.price = Price()
        """What is executed costs so much."""
        self.queues = Loader[str, QueueStatus](self._load_queues)
        """Queues by name."""
        self.pages = Loader[MessageQuery, Page](self._load_pages)
        """Pages of messages."""
        self._logger = logger
        self._leased: dict[str, Sequence[Delivery]] = {}
        self._told = 0
        self._key = ""
        self._identified_at = broker.clock.now()
        self._patient_until = self._identified_at + 1000 * limits.MAX_WAIT_SECONDS

    @property
    def deliveries(self) -> list[Delivery]:
        """What was leased, to be given back if the client does not get the answer."""
        return [delivery for leased in self._leased.values() for delivery in leased]

    @property
    def is_final(self) -> bool:
        """Whether something was done that is not undone: the client has to hear of it."""
        return bool(self._key) and not any(self._leased.values())

    @property
    def undo(self) -> Callable[[], Awaitable[None]] | None:
        """What is to be done if the client does not get the result, None if it must. What changed
        nothing, and what gave leases, may be kept from it: it asks again."""
        return None if self.is_final else self.give_back

    async def begin(self, key: str) -> None:
        """Begin a field of a mutation, whose value the result has under this key; if that before
        took a while, for who asks now."""
        self._key = key
        now = self.broker.clock.now()
        if self.recheck is not None and now - self._identified_at >= BELIEVED_MS:
            self.identity = await self.recheck()
            self._identified_at = now

    def hold(self, deliveries: Sequence[Delivery]) -> None:
        """Keep in mind what the field that was begun leased."""
        self._leased[self._key] = deliveries

    def count_content(self, size: int) -> None:
        """Count a content that the result tells; raises MessageTooLarge."""
        most = MAX_FINAL_BYTES if self.is_final else MAX_CONTENT_BYTES
        self._told += size
        if self._told > most:
            raise MessageTooLarge(f"the contents are more than {most} bytes; ask for fewer")

    def shorten(self, wait: float) -> float:
        """Return how long a lease waits that may wait so many seconds: not for more than there is
        already, and with the others of this operation no longer than one alone may."""
        if not 0 < wait <= limits.MAX_WAIT_SECONDS:
            return wait
        left = max(0, self._patient_until - self.broker.clock.now()) / 1000
        return 0 if any(self._leased.values()) else min(wait, left)

    async def give_back(self) -> None:
        """Give back what was leased: the client does not get the answer."""
        await self.broker.give_back(self.deliveries)

    async def give_back_lost(self, data: Mapping[str, Any]) -> None:
        """Give back what the client is not told of, because telling it failed."""
        for key in [key for key in self._leased if data.get(key) is None]:
            await self.broker.give_back(self._leased.pop(key))

    def tell(self, error: dict[str, Any], original: BaseException) -> dict[str, Any]:
        """Return an error as clients get it: what was not raised on purpose is only for the log."""
        if isinstance(original, Refused):
            told = original.errors[0]
        elif isinstance(original, BrokerError) and original.code != BrokerError.code:
            told = {"message": str(original), "extensions": _extensions(original)}
        else:
            self._log(original)
            extensions = {"code": BrokerError.code, "request_id": self.request_id}
            told = {"message": INTERNAL, "extensions": extensions}
        where = {key: error[key] for key in ("locations", "path") if error.get(key)}
        return {"message": told["message"], **where, **told}

    async def _load_queues(self, names: Sequence[str]) -> Sequence[QueueStatus | BrokerError]:
        return await self.broker.queues.get_each(self.identity, names)

    async def _load_pages(self, queries: Sequence[MessageQuery]) -> Sequence[Page | BrokerError]:
        return await self.broker.browse_each(self.identity, queries)

    def _log(self, error: BaseException) -> None:
        problem = getattr(error, "problem", "something went wrong")
        self._logger.error("%s in request %s", problem, self.request_id, exc_info=error)
        self.broker.served.last_error = (type(error).__name__, self.broker.clock.now())


def _extensions(error: BrokerError) -> dict[str, Any]:
    extensions: dict[str, Any] = {"code": error.code}
    if error.retry_after is not None:
        extensions["retry_after"] = error.retry_after
    if error.errors:
        extensions["errors"] = msgspec.to_builtins(list(error.errors), enc_hook=repr)
    return extensions
