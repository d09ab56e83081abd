"""What parts of the broker tell their loggers, by `logging` or by structlog, becomes lines."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import structlog

from broker.isolation import is_from_outside
from broker.logs.cleaning import take_field, take_lines, take_name, take_text
from broker.logs.lines import Tell, Told
from broker.logs.reading import LogLevel
from broker.turn import CURRENT_TURN

MOST_FIELDS = 32

_OURS = frozenset({"timestamp", "level", "message", "logger", "exception", "exc_info"})
_NO_EXTRAS = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class Bridge(logging.Handler):
    """Makes a line of each record, told by `logging` or by structlog, and tells it. Closing it, as
    `logging.shutdown` does where a process ends by force, calls `end`."""

    def __init__(self, tell: Tell, now: Callable[[], int], end: Callable[[], None]) -> None:
        super().__init__()
        self._tell = tell
        self._now = now
        self._end = end

    def handle(self, record: logging.LogRecord) -> bool:
        """Tell a record, without the lock of all handlers: any thread may do so at any time."""
        self.emit(record)
        return True

    def emit(self, record: logging.LogRecord) -> None:
        """Take what a record says now: what it refers to may change."""
        at = self._now()
        try:
            line = _told(at, record)
        # An isolation point: whoever tells something shall not suffer for it, and a plugin's
        # `__repr__` may raise anything.
        except BaseException as error:
            if is_from_outside(error):
                raise
            line = _untold(at, record, error)
        self._tell(line)

    def close(self) -> None:
        """Have all that was told written."""
        self._end()
        super().close()


@contextmanager
def heard(bridge: Bridge, level: str) -> Iterator[None]:
    """Have a bridge hear what is told by `logging`, by structlog and by `warnings` while the block
    runs: by libraries when something is wrong, by the broker and its plugins as `level` says."""
    root, ours = logging.getLogger(), logging.getLogger("broker")
    before = ours.level
    root.addHandler(bridge)
    ours.setLevel(level)
    logging.captureWarnings(capture=True)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    try:
        yield
    finally:
        structlog.reset_defaults()
        logging.captureWarnings(capture=False)
        ours.setLevel(before)
        root.removeHandler(bridge)


def _told(at: int, record: logging.LogRecord) -> Told:
    others: dict[Any, Any] = {
        name: value for name, value in record.__dict__.items() if name not in _NO_EXTRAS
    }
    exc_info: Any = record.exc_info
    if isinstance(record.msg, dict) and "_logger" in others and "_name" in others:  # by structlog
        others.update(record.msg)
        exc_info = others.get("exc_info")
        message = str(others.pop("event", ""))
    else:
        message = _message(record)
    formatted = structlog.processors.format_exc_info(None, "", {"exc_info": exc_info})
    exception = formatted.get("exception")
    request_id, identity = _request()
    return Told(
        at=at,
        severity=_level(record.levelno),
        message=take_text(message),
        logger=take_name(record.name),
        request_id=request_id,
        identity=identity,
        others=_fields(others),
        exception=None if exception is None else take_lines(exception),
    )


def _untold(at: int, record: logging.LogRecord, error: BaseException) -> Told:
    """Return what there is to tell of a record that cannot be told, and why that is."""
    message = "a record that cannot be told"
    if type(record.msg) is str:
        message += f": {take_text(record.msg)}"
    request_id, identity = _request()
    return Told(
        at=at,
        severity="error",
        message=message,
        logger=record.name if type(record.name) is str else "",
        request_id=request_id,
        identity=identity,
        others={"error": type(error).__name__},
    )


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    # Whoever told this gave it arguments that do not fit; that must not hide what was told.
    except Exception:  # noqa: BLE001  # a plugin's `__str__` may raise anything
        return f"{record.msg!r} with arguments that do not fit"


def _level(number: int) -> LogLevel:
    """Return the level that stands for all up to the next, whatever somebody calls it."""
    if number < logging.INFO:
        return "debug"
    if number < logging.WARNING:
        return "info"
    if number < logging.ERROR:
        return "warning"
    return "error" if number < logging.CRITICAL else "critical"


def _request() -> tuple[str | None, str | None]:
    """Return which request this is about, and whose."""
    turn = CURRENT_TURN.get()
    if turn is None or turn.request_id is None or not turn.goes_on:
        return None, None
    return turn.request_id, turn.identity


def _fields(told: Mapping[Any, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for key, value in told.items():
        name = str(key)
        if name in _OURS or name.startswith("_"):
            continue
        if len(fields) == MOST_FIELDS:
            break
        fields[take_name(name)] = take_field(name, value)
    return fields
