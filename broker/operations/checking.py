"""What the core refuses whatever transport it came by, before anybody pays for it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import msgspec

from broker.errors import FieldError, Invalid, MessageTooLarge
from broker.limits import (
    MAX_BATCH_BYTES,
    MAX_BATCH_MESSAGES,
    MAX_HEADERS,
    MAX_HEADERS_BYTES,
    MAX_INT64,
    MAX_LABEL,
    MAX_LEASE_MESSAGES,
    MAX_LEASE_SECONDS,
    MAX_PAGE,
    MAX_PREFETCH,
    MAX_PRIORITY,
    MAX_TEXT,
    MAX_WAIT_SECONDS,
    PRINTABLE_PATTERN,
    QUEUE_NAME_PATTERN,
    YEAR,
)
from broker.models import Draft, MessageQuery, QueuePolicy, SettleKind, StateFilter
from broker.receipts import Settlement

_PRINTABLE = re.compile(PRINTABLE_PATTERN)
_QUEUE_NAME = re.compile(QUEUE_NAME_PATTERN)
_PREFIX = re.compile(rf"[A-Za-z0-9._-]{{0,{MAX_LABEL}}}\Z")
_NAME_SHOWN = QUEUE_NAME_PATTERN.replace(r"\Z", "$")


def check_queue_name(name: str) -> None:
    """Raise Invalid unless a queue may have this name."""
    if refusal := queue_name_refusal(name):
        raise refusal


def queue_name_refusal(name: str) -> Invalid | None:
    """Return what `check_queue_name` raises, if it does."""
    errors = _queue_name_errors(name)
    return Invalid(errors) if errors else None


def check_message_id(message_id: int) -> None:
    """Raise Invalid unless a message may have this id."""
    if not 1 <= message_id <= MAX_INT64:
        raise Invalid([_outside("id", message_id, 1, MAX_INT64)])


def check_browse(query: MessageQuery) -> None:
    """Raise Invalid naming what a look into a queue may not ask for."""
    assert query.queue is not None, "browse one queue; use get_message for an id"
    errors = _queue_name_errors(query.queue)
    if not 1 <= query.limit <= MAX_PAGE:
        errors.append(_outside("limit", query.limit, 1, MAX_PAGE))
    if not 0 <= query.after <= MAX_INT64:
        errors.append(_outside("after", query.after, 0, MAX_INT64))
    if query.text is not None and not _is_text(query.text):
        errors.append(_no_text("q", query.text, MAX_TEXT))
    if errors:
        raise Invalid(errors)


def check_prefix(prefix: str) -> None:
    """Raise Invalid unless names of queues may begin so."""
    if not _PREFIX.match(prefix):
        problem = f"expected at most {MAX_LABEL} letters, digits, dots, hyphens and underscores"
        raise Invalid([FieldError("prefix", problem, prefix[:100])])


def check_queue(name: str, policy: dict[str, Any]) -> None:
    """Raise Invalid unless a queue may have this name, and these in its policy."""
    errors = _queue_name_errors(name)
    for field in msgspec.structs.fields(QueuePolicy):
        if field.name in policy:
            value = policy[field.name]
            try:
                msgspec.convert(value, field.type)
            except msgspec.ValidationError as error:
                expected = str(error).replace("`", "").replace("Expected", "expected", 1)
                errors.append(FieldError(field.name, expected, value))
    if errors:
        raise Invalid(errors)


def check_drafts(drafts: Sequence[Draft], place: str = "messages") -> None:
    """Raise Invalid naming every field of drafts that is out of its bounds, MessageTooLarge if
    they are too large together; `place` is the field that they came in."""
    if not 0 < len(drafts) <= MAX_BATCH_MESSAGES:
        problem = f"expected 1 to {MAX_BATCH_MESSAGES} messages, got {len(drafts)}"
        raise Invalid([FieldError(place, problem)])
    errors = [
        FieldError(f"{place}[{index}].{error.field}", error.message, error.received)
        for index, draft in enumerate(drafts)
        for error in _draft_errors(draft)
    ]
    if errors:
        raise Invalid(errors)
    size = sum(len(draft.body) for draft in drafts)
    if size > MAX_BATCH_BYTES:
        raise MessageTooLarge(f"{size} bytes of bodies; a batch takes {MAX_BATCH_BYTES}")


def check_lease(queue: str, limit: int, wait: float, lease_seconds: int | None) -> None:
    """Raise Invalid naming what a lease may not ask for."""
    errors = _queue_name_errors(queue)
    if not 1 <= limit <= MAX_LEASE_MESSAGES:
        errors.append(_outside("limit", limit, 1, MAX_LEASE_MESSAGES))
    if not 0 <= wait <= MAX_WAIT_SECONDS:
        errors.append(_outside("wait", wait, 0, MAX_WAIT_SECONDS))
    errors += _lease_seconds_errors(lease_seconds)
    if errors:
        raise Invalid(errors)


def check_consume(queue: str, prefetch: int, lease_seconds: int | None) -> None:
    """Raise Invalid naming what a consumer may not ask for."""
    errors = [*_queue_name_errors(queue), *_lease_seconds_errors(lease_seconds)]
    if not 1 <= prefetch <= MAX_PREFETCH:
        errors.append(_outside("prefetch", prefetch, 1, MAX_PREFETCH))
    if errors:
        raise Invalid(errors)


def check_settlements(settlements: Sequence[Settlement]) -> None:
    """Raise Invalid naming every field of settlements that is out of its bounds."""
    if len(settlements) > MAX_BATCH_MESSAGES:
        problem = f"expected at most {MAX_BATCH_MESSAGES}, got {len(settlements)}"
        raise Invalid([FieldError("settlements", problem)])
    errors = [
        FieldError(f"settlements[{index}].{error.field}", error.message, error.received)
        for index, settlement in enumerate(settlements)
        for error in _settlement_errors(settlement)
    ]
    if errors:
        raise Invalid(errors)


def check_purge(queue: str, states: Sequence[StateFilter], older_than: float | None) -> None:
    """Raise Invalid naming what a purge may not ask for."""
    errors = _queue_name_errors(queue)
    if not states:
        errors.append(FieldError("states", "expected at least 1, got 0"))
    if older_than is not None:
        if not 0 <= older_than <= YEAR:
            errors.append(_outside("older_than", older_than, 0, YEAR))
        if not {*states} <= {"processed", "failed"}:
            problem = (
                'only messages in the states "processed" and "failed" have ended; name no other'
            )
            errors.append(FieldError("older_than", problem, older_than))
    if errors:
        raise Invalid(errors)


@lru_cache(maxsize=1024)
def _is_queue_name(name: str) -> bool:
    return _QUEUE_NAME.match(name) is not None


def _queue_name_errors(name: str) -> list[FieldError]:
    if _is_queue_name(name):
        return []
    return [FieldError("queue", f"expected text like {_NAME_SHOWN}", name[:100])]


def _draft_errors(draft: Draft) -> Iterator[FieldError]:
    # Told apart one by one: a batch of a thousand is to cost little more than its storage.
    if not _is_queue_name(draft.queue):
        yield from _queue_name_errors(draft.queue)
    if not 0 <= draft.priority <= MAX_PRIORITY:
        yield _outside("priority", draft.priority, 0, MAX_PRIORITY)
    if draft.delay is not None and not 0 <= draft.delay <= YEAR:
        yield _outside("delay", draft.delay, 0, YEAR)
    if draft.ttl is not None and not 0 < draft.ttl <= YEAR:
        yield FieldError("ttl", f"expected more than 0, at most {YEAR}", draft.ttl)
    if not _is_label(draft.content_type):
        yield _no_text("content_type", draft.content_type, MAX_LABEL)
    if draft.group is not None and not _is_label(draft.group):
        yield _no_text("group", draft.group, MAX_LABEL)
    if draft.dedup_key is not None and not _is_label(draft.dedup_key):
        yield _no_text("dedup_key", draft.dedup_key, MAX_LABEL)
    if draft.headers:
        yield from _header_errors(draft.headers)


def _settlement_errors(settlement: Settlement) -> Iterator[FieldError]:
    for field, kinds in _MEANT_FOR.items():
        value = getattr(settlement, field)
        if value is not None and settlement.kind not in kinds:
            yield FieldError(field, f"is for {' and '.join(kinds)} only", value)
    if settlement.delay is not None and not 0 <= settlement.delay <= YEAR:
        yield _outside("delay", settlement.delay, 0, YEAR)
    if settlement.seconds is not None and not 1 <= settlement.seconds <= MAX_LEASE_SECONDS:
        yield _outside("seconds", settlement.seconds, 1, MAX_LEASE_SECONDS)
    reason = settlement.reason
    if reason is not None and not _is_text(reason):
        yield _no_text("reason", reason, MAX_TEXT)


_MEANT_FOR: dict[str, tuple[SettleKind, ...]] = {
    "delay": ("retry",),
    "seconds": ("extend",),
    "reason": ("retry", "reject"),
}


def _lease_seconds_errors(lease_seconds: int | None) -> Iterator[FieldError]:
    if lease_seconds is not None and not 1 <= lease_seconds <= MAX_LEASE_SECONDS:
        yield _outside("lease_seconds", lease_seconds, 1, MAX_LEASE_SECONDS)


def _is_text(text: str) -> bool:
    return 0 < len(text) <= MAX_TEXT and _PRINTABLE.match(text) is not None


def _is_label(text: str) -> bool:
    return 0 < len(text) <= MAX_LABEL and _is_printable(text)


@lru_cache(maxsize=4096)
def _is_printable(label: str) -> bool:
    return _PRINTABLE.match(label) is not None


def _header_errors(headers: dict[str, str]) -> Iterator[FieldError]:
    if len(headers) > MAX_HEADERS:
        yield _outside("headers", len(headers), 0, MAX_HEADERS)
    size = 0
    for name, value in headers.items():
        if not _is_label(name) or not _PRINTABLE.match(value):
            problem = "names and values are printable text, names of 1 to 255 characters"
            yield FieldError("headers", problem, name[:100])
        size += len(name.encode(errors="replace")) + len(value.encode(errors="replace"))
    if size > MAX_HEADERS_BYTES:
        problem = f"names and values are {size} bytes, at most {MAX_HEADERS_BYTES} are allowed"
        yield FieldError("headers", problem)


def _no_text(field: str, text: str, longest: int) -> FieldError:
    return FieldError(field, f"expected 1 to {longest} printable characters", text[:100])


def _outside(field: str, value: float, lowest: float, highest: float) -> FieldError:
    return FieldError(field, f"expected {lowest} to {highest}", value)
