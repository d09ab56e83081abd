"""Interceptors that take too much or too little, or touch what they should not."""

import asyncio
import json
from collections.abc import Sequence
from itertools import count

from contracts.interceptors import Marks
from msgspec.structs import replace

from broker import Identity, NewMessage, Rejected


class TakesWhatItShouldRefuse(Marks):
    def check(self, place: int, message: NewMessage) -> None:
        pass


class RefusesWhatItShouldTake(Marks):
    def check(self, place: int, message: NewMessage) -> None:
        if message.priority > 4:
            raise Rejected("too important")
        super().check(place, message)


class RaisesWhatItLikes(Marks):
    def check(self, place: int, message: NewMessage) -> None:
        if b"damn" in message.body:
            raise ValueError("damn")


class LeavesOutWhatItRefuses(Marks):
    async def before_publish(
        self, identity: Identity, batch: Sequence[NewMessage]
    ) -> Sequence[NewMessage]:
        kept = [message for message in batch if b"damn" not in message.body]
        return await super().before_publish(identity, kept)


class LooksAtTheFirstMessage(Marks):
    def check(self, place: int, message: NewMessage) -> None:
        if place == 0:
            super().check(place, message)


class LooksAtHundredMessages(Marks):
    async def before_publish(
        self, identity: Identity, batch: Sequence[NewMessage]
    ) -> Sequence[NewMessage]:
        return await super().before_publish(identity, batch[:100])


class SortsTheBatch(Marks):
    async def before_publish(
        self, identity: Identity, batch: Sequence[NewMessage]
    ) -> Sequence[NewMessage]:
        result = await super().before_publish(identity, batch)
        return sorted(result, key=lambda message: -message.priority)


class SendsElsewhere(Marks):
    def mark(self, message: NewMessage) -> NewMessage:
        return replace(super().mark(message), queue=f"{message.queue}-marked")


class MarksWhatItWasGiven(Marks):
    def mark(self, message: NewMessage) -> NewMessage:
        message.headers["marked"] = "yes"
        return message


class EmptiesWhatItWasGiven(Marks):
    async def before_publish(
        self, identity: Identity, batch: Sequence[NewMessage]
    ) -> Sequence[NewMessage]:
        result = await super().before_publish(identity, batch)
        if isinstance(batch, list):
            batch.clear()
        return result


class MarksAgain(Marks):
    def mark(self, message: NewMessage) -> NewMessage:
        marks = message.headers.get("marked", "") + "yes"
        return replace(message, headers={**message.headers, "marked": marks})


class NumbersMessages(Marks):
    def __init__(self) -> None:
        self.numbers = count()

    def mark(self, message: NewMessage) -> NewMessage:
        return replace(message, headers={"number": str(next(self.numbers))})


class HasOneBatchAtATime(Marks):
    batch: Sequence[NewMessage] = ()

    async def before_publish(
        self, identity: Identity, batch: Sequence[NewMessage]
    ) -> Sequence[NewMessage]:
        self.batch = batch
        await asyncio.sleep(0)
        return await super().before_publish(identity, self.batch)


class StaysBusyWhenCancelled(Marks):
    is_busy = False

    async def before_publish(
        self, identity: Identity, batch: Sequence[NewMessage]
    ) -> Sequence[NewMessage]:
        if self.is_busy:
            raise Rejected("one at a time")
        self.is_busy = True
        result = await super().before_publish(identity, batch)
        self.is_busy = False
        return result


class WantsAMessage(Marks):
    async def before_publish(
        self, identity: Identity, batch: Sequence[NewMessage]
    ) -> Sequence[NewMessage]:
        self.check(0, batch[0])
        return await super().before_publish(identity, batch)


class WantsAnAddress(Marks):
    async def before_publish(
        self, identity: Identity, batch: Sequence[NewMessage]
    ) -> Sequence[NewMessage]:
        assert identity.peer[0] != "!"
        return await super().before_publish(identity, batch)


class GivesNoReason(Marks):
    def check(self, place: int, message: NewMessage) -> None:
        if b"damn" in message.body:
            raise Rejected("", field=f"messages[{place}].content")


class NamesNoPlace(Marks):
    def check(self, place: int, message: NewMessage) -> None:
        if b"damn" in message.body:
            raise Rejected("says what one does not say")


class CountsFromOne(Marks):
    def check(self, place: int, message: NewMessage) -> None:
        super().check(place + 1, message)


class RepeatsWhatItRefuses(Marks):
    def check(self, place: int, message: NewMessage) -> None:
        if len(message.body) > 2**20:
            raise Rejected(f"{message.body!r} is too large", field=f"messages[{place}].content")
        super().check(place, message)


class GivesText(Marks):
    def mark(self, message: NewMessage) -> NewMessage:
        return replace(message, body="marked")


class WritesALongHeader(Marks):
    def mark(self, message: NewMessage) -> NewMessage:
        return replace(message, headers={"body": message.body.hex() * 2000})


class WantsText(Marks):
    def check(self, place: int, message: NewMessage) -> None:
        message.body.decode()
        super().check(place, message)


class ReadsJsonWithoutABound(Marks):
    def check(self, place: int, message: NewMessage) -> None:
        try:
            json.loads(message.body)
        except ValueError:
            pass
        super().check(place, message)


class ClosesOnce(Marks):
    is_open = True

    async def close(self) -> None:
        assert self.is_open
        self.is_open = False
