"""What a transport is asked for by its contract."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from broker.auth import Action

RECEIPT = "<receipt>"
"""Stands in a probe for the receipt of a message that is leased from its queue."""

MESSAGE_ID = "<id>"
"""Stands in a probe for the id of that message."""


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """A request that your transport answers, and what answering it takes.

    Before it is sent, the kit makes its queue and puts three messages there; if `<receipt>` or
    `<id>` stands in its path or body, the first of them is leased and that is put in.
    """

    request: str
    """Method and path: `"POST /queues/orders/messages"`."""
    json: Any = None
    """Sent as JSON, unless None."""
    body: str | bytes = b""
    """Sent as it is, if there is no `json`."""
    headers: Mapping[str, str] = {}
    """Sent with it."""
    status: int = 200
    """How who may do it is answered."""
    action: Action | None = None
    """What one must be permitted to do; None: it is answered to everybody whom the broker knows."""
    queue: str | None = None
    """The queue that this is about; None for one that is about none, or about all."""
    is_there: bool = True
    """Whether that queue is there before; not so for what makes it."""
    public: bool = False
    """Whether it is answered to those, too, who come without credentials."""
    spends: bool = True
    """Whether it takes from a rate limit."""
    stores: bool = True
    """Whether the storage is asked; of a stream, this says nothing."""
    leases: bool = False
    """Whether the answer gives the client leases."""
    streams: bool = False
    """Whether the answer goes on until one of both ends it."""
    name: str = ""
    """What the runs of tests with it are called; the request, unless given."""

    @property
    def line(self) -> tuple[str, str]:
        """The method, and the path with its query."""
        method, _, path = self.request.partition(" ")
        return method, path

    def options(
        self, *, headers: Mapping[str, str] | None = None, **options: Any
    ) -> dict[str, Any]:
        """Return what the probe is sent with, besides its line; these headers go before its
        own of the same name."""
        sent = {**self.headers, **(headers or {})}
        return {"json": self.json, "body": self.body, "headers": sent, **options}

    def at(self, prefix: str) -> Probe:
        """Return this probe below a prefix of its path."""
        method, path = self.line
        return msgspec.structs.replace(self, request=f"{method} {(prefix + path).rstrip('/')}")

    def is_about_a_lease(self) -> bool:
        """Tell whether it needs a message that is leased."""
        whole = msgspec.json.encode([self.request, self.json, _as_text(self.body)]).decode()
        return RECEIPT in whole or MESSAGE_ID in whole

    def filled(self, receipt: str, message_id: int) -> Probe:
        """Return this probe about such a lease."""

        def fill(text: str) -> str:
            return text.replace(RECEIPT, receipt).replace(MESSAGE_ID, str(message_id))

        def fill_all(value: Any) -> Any:
            match value:
                case str():
                    return message_id if value == MESSAGE_ID else fill(value)
                case list():
                    return [fill_all(part) for part in value]
                case dict():
                    return {key: fill_all(part) for key, part in value.items()}
            return value

        if isinstance(self.body, str):
            body: str | bytes = fill(self.body)
        else:
            body = fill(_as_text(self.body)).encode("latin-1")
        request = fill(self.request)
        return msgspec.structs.replace(self, request=request, json=fill_all(self.json), body=body)


def _as_text(body: str | bytes) -> str:
    return body if isinstance(body, str) else body.decode("latin-1")
