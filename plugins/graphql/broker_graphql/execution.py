"""One execution of an operation: who asks, and what the resolvers share."""

from __future__ import annotations

import logging
from typing import Any

from broker import Broker, BrokerError, Delivery, Identity, Recheck

INTERNAL = "Internal error"


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
        self.deliveries: list[Delivery] = []
        """What was leased, to be given back if the client does not get the answer."""
        self._logger = logger

    def tell(self, error: dict[str, Any], original: Exception | None) -> dict[str, Any]:
        """Return an error as clients get it: what was not raised on purpose is only for the log."""
        extensions: dict[str, Any]
        if isinstance(original, BrokerError):
            error["message"] = str(original)
            extensions = {"code": original.code}
            if original.retry_after is not None:
                extensions["retry_after"] = original.retry_after
            if original.errors:
                extensions["errors"] = list(original.errors)
        elif original is None:
            extensions = {"code": "invalid"}
        else:
            self._log(original)
            error["message"] = INTERNAL
            extensions = {"code": "internal", "request_id": self.request_id}
        error["extensions"] = extensions
        return error

    def _log(self, error: Exception) -> None:
        self._logger.error("request %s failed", self.request_id, exc_info=error)
        self.broker.served.last_error = (type(error).__name__, self.broker.clock.now())
