"""Taking messages over HTTP: leased in batches, written, and only then acked."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

from broker.cli.client import Client
from broker.cli.options import queue_path
from broker.commands import remark
from broker.limits import MAX_LEASE_MESSAGES, MAX_WAIT_SECONDS

ANSWER_BYTES = 8 * 1024 * 1024
"""How much one answer should bring, as far as the last one tells."""

FASTEST_POLL_SECONDS = 0.5


class Taken(msgspec.Struct, frozen=True):
    """The part of a leased message that is of interest here."""

    id: int
    receipt: str
    content: str | None = None
    content_base64: bytes | None = None

    @property
    def body(self) -> bytes:
        """Return the body as it was published."""
        return (self.content or "").encode() if self.content_base64 is None else self.content_base64


class Consumer:
    """Takes messages from one queue and settles each after `write` returned.

    `write` gets a message and its JSON. What it was not called for, or raised for, is released.
    """

    def __init__(
        self,
        client: Client,
        queue: str,
        *,
        write: Callable[[Taken, bytes], None],
        ack: bool = True,
        lease_seconds: int | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.written = 0
        self.lost = 0
        """Messages whose lease was over before the ack, so that somebody gets them again."""
        self._client = client
        self._queue = queue
        self._write = write
        self._ack = ack
        self._lease_seconds = lease_seconds
        self._clock = clock
        self._sleep = sleep
        self._told_paused = False
        self._seen: set[int] = set()
        # Growing from one: who wants but a few, as in `| head -3`, should not use up a hundred.
        self._size = 1

    def run(self, *, limit: int | None, idle_seconds: float | None) -> None:
        """Take up to `limit` messages, until none came for `idle_seconds`; None: without end."""
        idle_since = self._clock()
        while limit is None or self.written < limit:
            wait: float = MAX_WAIT_SECONDS
            if idle_seconds is not None:
                wait = min(wait, max(0, idle_since + idle_seconds - self._clock()))
            left = MAX_LEASE_MESSAGES if limit is None else limit - self.written
            messages = self._poll(min(self._size, left), wait)
            if messages:
                if self._repeats(messages) and idle_seconds is not None:
                    return
                self._take(messages)
                idle_since = self._clock()
            elif idle_seconds is not None and self._clock() >= idle_since + idle_seconds:
                return

    def _poll(self, limit: int, wait: float) -> list[tuple[Taken, bytes]]:
        asked = {"limit": limit, "wait": wait}
        if self._lease_seconds is not None:
            asked["lease_seconds"] = self._lease_seconds
        asked_at = self._clock()
        path = queue_path(self._queue, "/messages/lease")
        response = self._client.call("POST", path, json=asked, wait=wait)
        answer: _Leases = self._client.decode(response, _Leases)
        if answer.messages:
            fitting = ANSWER_BYTES * len(answer.messages) // len(response.content)
            self._size = max(1, min(2 * self._size, fitting, MAX_LEASE_MESSAGES))
        else:
            self._tell_paused(paused=answer.paused)
            if self._clock() - asked_at < min(wait, FASTEST_POLL_SECONDS):
                self._sleep(FASTEST_POLL_SECONDS)  # a broker that is going down does not wait
        return [(msgspec.json.decode(raw, type=Taken), bytes(raw)) for raw in answer.messages]

    def _take(self, messages: list[tuple[Taken, bytes]]) -> None:
        receipts = [message.receipt for message, _ in messages]
        done = 0
        try:
            for message, raw in messages:
                self._write(message, raw)
                done += 1
            self.written += done
            self._settle(ack=receipts)
        except BrokenPipeError:
            # Nobody knows how much of it was read before the reader left.
            self._settle(release=receipts)
            raise
        except (KeyboardInterrupt, OSError):
            self._settle(ack=receipts[:done], release=receipts[done:])
            raise

    def _settle(self, *, ack: list[str] | None = None, release: list[str] | None = None) -> None:
        acked = ack if self._ack else None
        settlements = {"ack": acked or [], "release": release or []}
        if not any(settlements.values()):
            return
        response = self._client.call("POST", "/messages/settle", json=settlements)
        answer: _Results = self._client.decode(response, _Results)
        for result in answer.results:
            if result.kind == "ack" and result.outcome != "ok":
                self.lost += 1
                remark(
                    f"message {result.message_id} was printed, but its lease was over before "
                    f"the ack ({result.outcome}); it may be delivered again"
                )

    def _repeats(self, messages: list[tuple[Taken, bytes]]) -> bool:
        """Tell whether leases lapse already that were left to lapse, so that there is no end."""
        if self._ack:
            return False
        ids = {message.id for message, _ in messages}
        repeated = not self._seen.isdisjoint(ids)
        self._seen |= ids
        return repeated

    def _tell_paused(self, *, paused: bool) -> None:
        if paused and not self._told_paused:
            remark(f"{self._queue} is paused: it gives nothing out")
        self._told_paused = paused


class _Leases(msgspec.Struct, frozen=True):
    messages: list[msgspec.Raw]
    paused: bool = False


class _Settled(msgspec.Struct, frozen=True):
    kind: str
    message_id: int
    outcome: str


class _Results(msgspec.Struct, frozen=True):
    results: list[_Settled]
