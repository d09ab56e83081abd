"""What a span is told of a failure: its kind and where it came from, and nothing that was in it."""

from __future__ import annotations

from http import HTTPStatus
from traceback import format_tb

from opentelemetry.trace import Span, StatusCode, get_current_span

from broker.errors import BrokerError, PluginFailure


def note_failure(span: Span, error: BaseException) -> None:
    """Tell a span what the work failed with; what a client did wrong is no failure of the span."""
    if isinstance(error, BrokerError):
        span.set_attribute("error.type", error.code)
        if error.status < HTTPStatus.INTERNAL_SERVER_ERROR:
            return
    else:
        span.set_attribute("error.type", _name(error))
    span.set_status(StatusCode.ERROR)
    note_exception(span, error)


def note(error: BaseException) -> None:
    """Tell the span of a request what it went wrong with, unless it was the client's mistake."""
    status = error.status if isinstance(error, BrokerError) else HTTPStatus.INTERNAL_SERVER_ERROR
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        note_exception(get_current_span(), error)


def note_exception(span: Span, error: BaseException) -> None:
    """Record an exception without its message, which may quote what a client sent; of what a
    plugin broke with, that is the cause."""
    if isinstance(error, PluginFailure):
        error = error.__cause__ or error
    span.add_event(
        "exception",
        {
            "exception.type": _name(error),
            "exception.stacktrace": "".join(format_tb(error.__traceback__)),
        },
    )


def _name(error: BaseException) -> str:
    kind = type(error)
    return (
        kind.__qualname__
        if kind.__module__ == "builtins"
        else f"{kind.__module__}.{kind.__qualname__}"
    )
