"""The lines of the log: what one holds, and how it is written as JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from broker.logs.cleaning import LONGEST_NAME, clean_lines, clean_name, clean_text
from broker.logs.reading import LogLevel
from broker.timestamps import timestamp

ACCESS = "broker.access"
"""What the lines that tell of requests say they are from."""

PROBES = frozenset({"/healthz", "/readyz", "/metrics"})
"""What machines ask for again and again."""

BAD_REQUEST, BROKEN = 400, 500

LINE_BYTES = 1024
"""What a line takes in memory, but for long texts in it."""

_encode = msgspec.json.Encoder().encode


class Line(msgspec.Struct, kw_only=True):
    """One thing that happened. It is made where that costs others time, and cleaned and written
    elsewhere."""

    at: int
    """When, in milliseconds UTC."""
    written: bytes | None = None
    """The line as JSON, once somebody asked for it."""

    @property
    def level(self) -> LogLevel:
        """How severe it is."""
        raise NotImplementedError

    def weight(self) -> int:
        """Return about how many bytes it takes while it waits to be written."""
        return LINE_BYTES

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
    """What some part of the broker told its logger, as far as it may be told, and not clean."""

    severity: LogLevel
    message: str
    logger: str
    request_id: str | None = None
    """Which request it is about, if it is about one."""
    identity: str | None = None
    """Whose that is."""
    others: Mapping[str, Any] = {}
    """What else it tells: numbers and texts."""
    exception: str | None = None
    """A traceback."""

    @property
    def level(self) -> LogLevel:
        """As severe as its logger was told."""
        return self.severity

    def weight(self) -> int:
        """Count its texts."""
        texts = (one for one in self.others.values() if isinstance(one, str))
        return LINE_BYTES + sum(map(len, (self.message, self.exception or "", *texts)))

    def fields(self) -> Mapping[str, Any]:
        """Return what it told."""
        told: dict[str, Any] = {
            "level": self.level,
            "message": clean_text(self.message),
            "logger": clean_name(self.logger),
        }
        if self.request_id is not None:
            told["request_id"] = clean_name(self.request_id)
        if self.identity is not None:
            told["identity"] = clean_name(self.identity)
        for name, value in self.others.items():
            told[clean_name(name)] = clean_text(value) if isinstance(value, str) else value
        if self.exception is not None:
            told["exception"] = clean_lines(self.exception)
        return told


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
    trace_id: str | None = None
    """The trace that the request is part of, if there are traces."""

    @property
    def level(self) -> LogLevel:
        """How severe it is: 500 is somebody's mistake, what else the broker could not do may be
        over soon, and that it told a probe what that wants to hear is no news."""
        if self.status < BROKEN:
            return "debug" if self.status < BAD_REQUEST and self.route in PROBES else "info"
        return "error" if self.status == BROKEN else "warning"

    def weight(self) -> int:
        """Count what a client may have made long."""
        return LINE_BYTES + len(self.method) + len(self.queue or "") + len(self.path or "")

    def fields(self) -> Mapping[str, Any]:
        """Return what there is to tell, the same names as everywhere."""
        method = clean_name(self.method)
        told: dict[str, Any]
        told = {
            "level": self.level,
            "message": f"{method} {self.route}",
            "logger": ACCESS,
            "request_id": self.request_id,
            "method": method,
            "route": self.route,
            "status": self.status,
            "duration_ms": round(self.seconds * 1000, 3),
            "peer": clean_name(self.peer),
        }
        if self.identity is not None:
            told["identity"] = clean_name(self.identity)
        if self.queue is not None:
            told["queue"] = clean_name(self.queue)
        if self.trace_id is not None:
            told["trace_id"] = self.trace_id
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
