"""Observers that break, block, or touch what is not theirs."""

import asyncio
from collections.abc import Sequence
from threading import Event as Never

from contracts.observers import Relays, Writes

from broker import Event


class WaitsForEver(Writes):
    def notify(self, events: Sequence[Event]) -> None:
        Never().wait()


class KeepsTheLoopForEver(Relays):
    def notify(self, events: Sequence[Event]) -> None:
        Never().wait()


class ClosesForEver(Relays):
    async def close(self) -> None:
        await asyncio.Event().wait()


class KnowsNoUpkeep(Writes):
    texts = {"queue": "a queue", "message": "a message"}

    def notify(self, events: Sequence[Event]) -> None:
        for event in events:
            self.texts[event.kind.partition(".")[0]]


class WantsWhatIsNever(Writes):
    kinds = frozenset({"message.sent"})


class WantsNothing(Writes):
    kinds = frozenset()


class WantsMoreWhenItIsOpen(Writes):
    kinds = frozenset({"queue.created"})

    async def open(self) -> None:
        await super().open()
        self.kinds = None


class NeedsAMessage(Writes):
    def notify(self, events: Sequence[Event]) -> None:
        for event in events:
            assert event.message_id > 0
        super().notify(events)


class TakesNoMoreThanFits(Writes):
    def notify(self, events: Sequence[Event]) -> None:
        if len(events) > 500:
            raise OverflowError("too many events")
        super().notify(events)


class NumbersOperationsInAByte(Writes):
    count = 0

    def notify(self, events: Sequence[Event]) -> None:
        self.count += 1
        self.count.to_bytes(1, "big")


class SortsWhatItIsTold(Writes):
    def notify(self, events: Sequence[Event]) -> None:
        if isinstance(events, list):
            events.sort(key=lambda event: event.message_id)
        super().notify(events)


class EmptiesWhatItIsTold(Writes):
    def notify(self, events: Sequence[Event]) -> None:
        super().notify(events)
        if isinstance(events, list):
            events.clear()


class KeepsWhatItIsTold(Writes):
    def notify(self, events: Sequence[Event]) -> None:
        self.last = events


class WritesAscii(Writes):
    encoding = "ascii"

    def notify(self, events: Sequence[Event]) -> None:
        for event in events:
            self.file.write(event.subject)


class NeedsALoop(Writes):
    def notify(self, events: Sequence[Event]) -> None:
        asyncio.get_running_loop().call_soon(super().notify, tuple(events))


class WritesAfterClose(Writes):
    async def close(self) -> None:
        if self.file is not None:
            self.file.close()


class ClosesOnce(Writes):
    is_closed = False

    async def close(self) -> None:
        assert not self.is_closed
        self.is_closed = True
        await super().close()


class ClosesWhatItNeverOpened(Writes):
    async def close(self) -> None:
        self.file.name
        await super().close()


class LosesTheRest(Writes):
    """Writes hundred at a time."""

    def __init__(self, path) -> None:
        super().__init__(path)
        self.events: list[Event] = []

    def notify(self, events: Sequence[Event]) -> None:
        self.events += events
        if len(self.events) >= 100:
            super().notify(self.events)
            self.events.clear()


class LosesWhatIsOnItsWay(Relays):
    async def close(self) -> None:
        if self.working is not None:
            self.working.cancel()


class WritesTwice(Writes):
    def notify(self, events: Sequence[Event]) -> None:
        super().notify(events)
        super().notify(events[:1])


class IsNeverWell(Writes):
    async def ping(self) -> None:
        assert self.file is None
