"""The lines of the log: what one holds, and how it is written as JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from broker.logs.cleaning import LONGEST_NAME, clean_name, clean_text
from broker.timestamps import timestamp

ACCESS = "broker.access"
"""What the lines that tell of requests say they are from."""

_encode = msgspec.json.Encoder().encode


class Line(msgspec.Struct, kw_only=True):
    """One thing that happened. It is made where that costs others time, and written elsewhere."""

    at: int
    """When, in milliseconds UTC."""
    written: bytes | None = None
    """The line as JSON, once somebody asked for it."""

    def fields(self) -> Mapping[str, Any]:
        """Return what it tells, clean: `level`, `message` and what else there is."""
        raise NotImplementedError

    def brief(self) -> dict[str, Any]:
        """Return what of it somebody needs who reads along."""
        return dict(self.fields())

    def json(self) -> bytes:
        """Return it as one line of JSON; whoever asks first pays."""
        if self.written is None:
            self.written = _encode({"timestamp": timestamp(self.at), **self.fields()}) + b"\n"
        return self.written


class Told(Line):
    """What some part of the broker told its logger."""

    told: Mapping[str, Any]

    def fields(self) -> Mapping[str, Any]:
        """Return what it told."""
        return self.told


class Answered(Line, gc=False):
    """A request that was answered. Names come from clients, so they are cleaned when written."""

    request_id: str
    method: str
    route: str
    status: int
    seconds: float
    peer: str
    identity: str | None
    queue: str | None
    path: str | None
    """What was asked for, where `route` does not tell."""

    def fields(self) -> Mapping[str, Any]:
        """Return what there is to tell, the same names as everywhere."""
        method = clean_name(self.method)
        told: dict[str, Any]
        route = self.route.rpartition(" ")[2]
        told = {
            "level": "info",
            "message": f"{method} {route}",
            "logger": ACCESS,
            "request_id": self.request_id,
            "method": method,
            "route": route,
            "status": self.status,
            "duration_ms": round(self.seconds * 1000, 3),
            "peer": clean_name(self.peer),
        }
        if self.identity is not None:
            told["identity"] = clean_name(self.identity)
        if self.queue is not None:
            told["queue"] = clean_name(self.queue)
        if self.path is not None:
            told["path"] = clean_text(self.path, longest=LONGEST_NAME)
        return told

    def brief(self) -> dict[str, Any]:
        """Return what was asked, by whom, and how it ended."""
        told = dict(self.fields())
        message = f"{told['message']} {self.status} in {self.seconds * 1000:.1f} ms"
        shown: dict[str, Any] = {
            name: told[name] for name in ("path", "queue", "identity", "request_id") if name in told
        }
        return {"level": told["level"], "message": message, **shown}


Tell = Callable[[Line], None]
"""Takes a line to be written soon, and never waits."""
