"""What parts of the broker tell their loggers, by `logging` or by structlog, becomes lines."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import structlog

from broker.logs.cleaning import clean_field, clean_lines, clean_name, clean_text
from broker.logs.lines import Tell, Told
from broker.turn import CURRENT_TURN

MOST_FIELDS = 32

_add_extras = structlog.stdlib.ExtraAdder()

_OURS = frozenset({"timestamp", "level", "message", "logger", "exception"})


class Bridge(logging.Handler):
    """Makes a line of each record, told by `logging` or by structlog, and tells it. Closing it, as
    `logging.shutdown` does where a process ends by force, calls `end`."""

    def __init__(self, tell: Tell, now: Callable[[], int], end: Callable[[], None]) -> None:
        super().__init__()
        self._tell = tell
        self._now = now
        self._end = end

    def emit(self, record: logging.LogRecord) -> None:
        """Take what a record says now: what it refers to may change."""
        self._tell(Told(at=self._now(), told=self._told(record)))

    def close(self) -> None:
        """Have all that was told written."""
        self._end()
        super().close()

    def _told(self, record: logging.LogRecord) -> Mapping[str, Any]:
        told: dict[str, Any] = {"exc_info": record.exc_info, "_record": record}
        if isinstance(record.msg, dict):  # by structlog
            told.update(record.msg)
            message = str(told.pop("event", ""))
        else:
            message = _message(record)
        _add_extras(logging.getLogger(record.name), "", told)
        structlog.processors.format_exc_info(None, "", told)
        exception = told.pop("exception", None)
        line = {
            "level": record.levelname.lower(),
            "message": clean_text(message),
            "logger": clean_name(record.name),
            **_request(),
            **_fields(told),
        }
        if exception is not None:
            line["exception"] = clean_lines(str(exception))
        return line


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    # Whoever told this gave it arguments that do not fit; that must not hide what was told.
    except Exception:  # noqa: BLE001  # a plugin's `__str__` may raise anything
        return f"{record.msg!r} with arguments that do not fit"


def _request() -> dict[str, str]:
    """Return which request this is about, and whose."""
    turn = CURRENT_TURN.get()
    if turn is None or turn.request_id is None:
        return {}
    told = {"request_id": clean_name(turn.request_id)}
    if turn.identity is not None:
        told["identity"] = clean_name(turn.identity)
    return told


def _fields(told: Mapping[str, Any]) -> dict[str, Any]:
    names = [name for name in told if name not in _OURS and not name.startswith("_")][:MOST_FIELDS]
    return {clean_name(name): clean_field(name, told[name]) for name in names}
