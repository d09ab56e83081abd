"""Interceptors: asked in their order, waited for only so long, and not believed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from broker.auth import Identity
from broker.deadlines import LateError, TimeLimit
from broker.errors import BrokerError, PluginFailure, Unavailable
from broker.extend import Interceptor
from broker.isolation import Failures, is_from_outside
from broker.models import Draft, NewMessage
from broker.operations.checking import check_drafts

PATIENCE_SECONDS = 5.0
"""How long one interceptor may take for a publish."""

STEP = "intercept a publish"

Fit = Callable[[Draft], None]
"""Raises what a sender would be told whose queue, or storage, does not take this."""


class Interceptors:
    """All enabled interceptors."""

    def __init__(self, interceptors: Sequence[tuple[str, Interceptor]], failures: Failures) -> None:
        self._interceptors = tuple(interceptors)
        self._failures = failures
        self._patience = TimeLimit(PATIENCE_SECONDS)

    async def intercept(
        self, identity: Identity, batch: tuple[NewMessage, ...], *, now: int, fit: Fit
    ) -> tuple[NewMessage, ...]:
        """Return what they make of a batch; raises what they refuse it with, Unavailable for who is
        late, and PluginFailure for who breaks or makes something that no sender might send."""
        for name, interceptor in self._interceptors:
            try:
                asked = interceptor.before_publish(identity, batch)
                result = await self._patience.wait(asked)
            except LateError as error:
                self._failures.note(name, f"{STEP} in time", error)
                raise Unavailable("the broker could not take this publish in time") from error
            except BrokerError:
                raise
            except BaseException as error:
                if is_from_outside(error):
                    raise
                raise self._failed(name, error) from error
            try:
                batch = _checked(result, batch, now, fit)
            # Whatever a look at foreign objects raises is what is wrong with them.
            except Exception as error:
                raise self._failed(name, error) from error
        return batch

    def _failed(self, name: str, error: BaseException) -> PluginFailure:
        self._failures.note(name, STEP, error)
        return PluginFailure(name, STEP)


def _checked(
    result: Sequence[NewMessage], before: tuple[NewMessage, ...], now: int, fit: Fit
) -> tuple[NewMessage, ...]:
    """Return a batch that is known to be sound, of which the interceptor holds nothing that it
    could still change."""
    if not isinstance(result, Sequence):
        raise TypeError(f"it returned no batch: {type(result).__name__}")
    messages = tuple(result)
    if [_queue_of(message) for message in messages] != [message.queue for message in before]:
        raise TypeError("it changed how many messages go where")
    batch = tuple(
        old if new is old and not old.headers else _copy(new)
        for new, old in zip(messages, before, strict=True)
    )
    if any(new is not old for new, old in zip(batch, before, strict=True)):
        drafts = [_draft(message, now) for message in batch]
        check_drafts(drafts)
        for draft in drafts:
            fit(draft)
    return batch


def _queue_of(message: object) -> str:
    if type(message) is not NewMessage:
        raise TypeError(f"it returned no message: {type(message).__name__}")
    return message.queue


def _copy(message: NewMessage) -> NewMessage:
    """Return a message whose fields have the right types."""
    if type(message.body) is not bytes:  # text would be taken for base64
        raise TypeError(f"it returned no bytes for a body: {type(message.body).__name__}")
    return msgspec.convert(msgspec.structs.asdict(message), NewMessage)


def _draft(message: NewMessage, now: int) -> Draft:
    """Return what a sender would have written to have this stored."""
    expires_at = message.expires_at
    return Draft(
        queue=message.queue,
        body=message.body,
        content_type=message.content_type,
        headers=message.headers,
        priority=message.priority,
        delay=max(0, message.visible_at - now) / 1000,
        ttl=None if expires_at is None else max(1, expires_at - now) / 1000,
        group=message.group,
        dedup_key=message.dedup_key,
    )
