"""An interceptor that does a bit of everything: it refuses what is rude, and marks the rest."""

import asyncio
from collections.abc import Sequence

from msgspec.structs import replace

from broker import Identity, Interceptor, NewMessage, Rejected

POLITE = NewMessage(queue="q", body=b"please")
RUDE = NewMessage(queue="q", body=b"damn")
TAKEN = (POLITE, NewMessage(queue="other", body=b'{"a": 1}', headers={"k": "v"}, priority=9))
REFUSED = {"a rude word": RUDE, "another": NewMessage(queue="other", body=b"damn it")}


class Marks(Interceptor):
    async def before_publish(
        self, identity: Identity, batch: Sequence[NewMessage]
    ) -> Sequence[NewMessage]:
        await asyncio.sleep(0)
        for place, message in enumerate(batch):
            self.check(place, message)
        return [self.mark(message) for message in batch]

    def check(self, place: int, message: NewMessage) -> None:
        if b"damn" in message.body:
            raise Rejected("says what one does not say", field=f"messages[{place}].content")

    def mark(self, message: NewMessage) -> NewMessage:
        return replace(message, headers={**message.headers, "marked": "yes"})
