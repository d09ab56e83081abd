"""What the core refuses whatever transport it came by."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from broker.errors import FieldError, Invalid
from broker.limits import (
    MAX_HEADERS,
    MAX_HEADERS_BYTES,
    MAX_LABEL,
    MAX_LEASE_MESSAGES,
    MAX_LEASE_SECONDS,
    MAX_PREFETCH,
    MAX_PRIORITY,
    MAX_WAIT_SECONDS,
    PRINTABLE_PATTERN,
    QUEUE_NAME_PATTERN,
    YEAR,
)
from broker.models import Draft, StateFilter

_PRINTABLE = re.compile(PRINTABLE_PATTERN)
_QUEUE_NAME = re.compile(QUEUE_NAME_PATTERN)


@lru_cache(maxsize=1024)
def check_queue_name(name: str) -> None:
    """Raise Invalid unless a queue may have this name."""
    if not _QUEUE_NAME.match(name):
        raise Invalid([FieldError("queue", f"expected text like {QUEUE_NAME_PATTERN}", name)])


def check_draft(draft: Draft) -> None:
    """Raise Invalid naming every field of a draft that is out of its bounds."""
    errors = []
    if not 0 <= draft.priority <= MAX_PRIORITY:
        errors.append(_outside("priority", draft.priority, 0, MAX_PRIORITY))
    if draft.delay is not None and not 0 <= draft.delay <= YEAR:
        errors.append(_outside("delay", draft.delay, 0, YEAR))
    if draft.ttl is not None and not 0 < draft.ttl <= YEAR:
        errors.append(_outside("ttl", draft.ttl, 0, YEAR))
    if not _is_label(draft.content_type):
        errors.append(_no_label("content_type", draft.content_type))
    if draft.group is not None and not _is_label(draft.group):
        errors.append(_no_label("group", draft.group))
    if draft.dedup_key is not None and not _is_label(draft.dedup_key):
        errors.append(_no_label("dedup_key", draft.dedup_key))
    if draft.headers:
        errors += _header_errors(draft.headers)
    if errors:
        raise Invalid(errors)


def check_lease(limit: int, wait: float, lease_seconds: int | None) -> None:
    """Raise Invalid naming what a lease may not ask for."""
    errors = []
    if not 1 <= limit <= MAX_LEASE_MESSAGES:
        errors.append(_outside("limit", limit, 1, MAX_LEASE_MESSAGES))
    if not 0 <= wait <= MAX_WAIT_SECONDS:
        errors.append(_outside("wait", wait, 0, MAX_WAIT_SECONDS))
    errors += _lease_seconds_errors(lease_seconds)
    if errors:
        raise Invalid(errors)


def check_consume(prefetch: int, lease_seconds: int | None) -> None:
    """Raise Invalid naming what a consumer may not ask for."""
    errors = _lease_seconds_errors(lease_seconds)
    if not 1 <= prefetch <= MAX_PREFETCH:
        errors.append(_outside("prefetch", prefetch, 1, MAX_PREFETCH))
    if errors:
        raise Invalid(errors)


def check_finished(states: Sequence[StateFilter], older_than: float) -> None:
    """Raise Invalid if messages in these states, or some of them, have no age since their end."""
    if not {*states} <= {"processed", "failed"}:
        problem = 'only messages in the states "processed" and "failed" have ended; name no other'
        raise Invalid([FieldError("older_than", problem, older_than)])


def _lease_seconds_errors(lease_seconds: int | None) -> list[FieldError]:
    if lease_seconds is None or 1 <= lease_seconds <= MAX_LEASE_SECONDS:
        return []
    return [_outside("lease_seconds", lease_seconds, 1, MAX_LEASE_SECONDS)]


def _is_label(text: str) -> bool:
    return 0 < len(text) <= MAX_LABEL and _is_printable(text)


@lru_cache(maxsize=4096)
def _is_printable(label: str) -> bool:
    return _PRINTABLE.match(label) is not None


def _header_errors(headers: dict[str, str]) -> list[FieldError]:
    errors = []
    if len(headers) > MAX_HEADERS:
        errors.append(_outside("headers", len(headers), 0, MAX_HEADERS))
    for name, value in headers.items():
        if not _is_label(name) or _PRINTABLE.match(value) is None:
            problem = "names and values are printable text, names of 1 to 255 characters"
            errors.append(FieldError("headers", problem, name[:100]))
    size = sum(len(name) + len(value) for name, value in headers.items())
    if size > MAX_HEADERS_BYTES:
        errors.append(_outside("headers", size, 0, MAX_HEADERS_BYTES))
    return errors


def _outside(field: str, value: float, lowest: float, highest: float) -> FieldError:
    return FieldError(field, f"expected {lowest} to {highest}", value)


def _no_label(field: str, value: str) -> FieldError:
    return FieldError(field, f"expected 1 to {MAX_LABEL} printable characters", value[:100])
