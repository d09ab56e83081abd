"""A stream of events with the messages that they are about."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from itertools import islice
from typing import Any

import msgspec
from broker import Budget, Event, Message, Overloaded, RateLimited, Share, Timer, whose_identity
from msgspec import UNSET, UnsetType

from broker_sse.entry import Entry, EventView
from broker_sse.feed import PIECE_BYTES, Feed

AT_ONCE = 16
"""How many events a feed first asks the storage about; more of small messages, less of large ones,
since their bodies are in memory until they are written."""

MOST_AT_ONCE = 256

MAX_UNSENT_BYTES = 128 * 1024 * 1024
"""How much of messages is in memory for all who are sent them, but for a piece of each. A message
counts twice: as it is, and as it is written."""


class FullView(EventView, frozen=True, kw_only=True, omit_defaults=True):
    """What clients are told of an event and its message; `content` is null if that is gone."""

    content: str | UnsetType | None = UNSET
    """The body, if it is text."""
    content_base64: bytes | UnsetType = UNSET
    """The body as base64, if it is no UTF-8."""
    content_type: str | UnsetType = UNSET
    """What the body is, as its sender named it."""
    headers: Mapping[str, str] | UnsetType = UNSET
    """What its sender told beside the body."""


class FullFeed(Feed):
    """Sends with each event its message, as it is then, if the identity may consume it."""

    def __init__(self, *args: Any, memory: Budget, **options: Any) -> None:
        """`memory` is what all of these share."""
        super().__init__(*args, **options)
        self._memory = Share(memory, whose_identity(self.identity))
        self._at_once = AT_ONCE
        self._not_before = 0
        self._timer: Timer | None = None

    async def take(self) -> bytes:
        """Return what there is; nothing for as long as the identity has no allowance to read, or
        there is no memory for it."""
        self._memory.give_back()  # what was taken before is sent
        clock = self._broker.clock
        if clock.now() < self._not_before:
            return b""
        try:
            return await super().take()
        except (RateLimited, Overloaded) as error:
            if error.retry_after is None:
                raise
            self._not_before = clock.now() + math.ceil(error.retry_after * 1_000)
            self._timer = clock.call_at(self._not_before, self.wake)
            return b""

    async def close(self) -> None:
        """Listen no more."""
        if self._timer is not None:
            self._timer.cancel()
        self._memory.give_back()
        await super().close()

    async def _next_piece(self) -> bytes:
        picked = list(islice(self._entries, self._at_once))
        wanted = {number for number in map(self._message_of, picked) if number is not None}
        messages, after = await self._read(wanted)
        self._hold(messages.values())
        parts: list[bytes] = []
        size = 0
        for entry in picked:
            number = self._message_of(entry)
            is_unread = number is not None and after is not None and number > after
            if size >= PIECE_BYTES or is_unread:
                self._at_once = max(1, min(len(parts), self._at_once // 2))
                break
            self._entries.popleft()
            parts.append(self._write_full(entry, number, messages))
            size += len(parts[-1])
        else:
            self._at_once = min(2 * self._at_once, MOST_AT_ONCE)
        return b"".join(parts)

    async def _read(self, ids: Collection[int]) -> tuple[dict[int, Message], int | None]:
        if not ids:
            return {}, None
        page = await self._broker.get_messages(self.identity, sorted(ids))
        return {message.id: message for message in page.messages}, page.after

    def _hold(self, messages: Collection[Message]) -> None:
        size = sum(len(message.body) for message in messages)
        try:
            self._memory.hold(2 * (size - PIECE_BYTES))
        except Overloaded:
            self._at_once = 1
            raise

    def _message_of(self, entry: Entry | bytes) -> int | None:
        """Return the id of the message that goes with an entry."""
        if isinstance(entry, bytes) or not self._may_be_told(entry.event):
            return None
        return entry.event.message_id if self._may_consume(entry.event) else None

    def _may_consume(self, event: Event) -> bool:
        return any(self._may("consume", queue) for queue in event.queues)

    def _write_full(
        self, entry: Entry | bytes, number: int | None, messages: Mapping[int, Message]
    ) -> bytes:
        if isinstance(entry, bytes):
            return entry
        if not self._may_be_told(entry.event):
            return b""
        if number is None:
            return self._write(entry)
        return entry.write(_view(entry.view, messages.get(number)))


def _view(view: EventView, message: Message | None) -> FullView:
    about = msgspec.structs.asdict(view)
    if message is None:
        return FullView(**about, content=None)
    content: str | UnsetType = UNSET
    content_base64: bytes | UnsetType = UNSET
    try:
        content = message.body.decode()
    except UnicodeDecodeError:
        content_base64 = message.body
    return FullView(
        **about,
        content=content,
        content_base64=content_base64,
        content_type=message.content_type,
        headers=message.headers,
    )
