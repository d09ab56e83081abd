"""The load: publishers and consumers that write down what they asked for and were told.

Each works on one connection until it is cut off, keeps what it holds, and goes on with the next.
"""

import base64
import random
from collections.abc import Callable
from itertools import count

from crash.checker import Delivery, History, Kind, Publish, Settlement
from crash.client import Client

QUEUES = {
    "dead": {"retain_processed": 0},
    "work": {"dead_letter_queue": "dead", "retain_processed": 0},
    "kept": {"dead_letter_queue": "dead", "retain_processed": 2},
}
POLICY = {"lease_seconds": 1, "max_deliveries": None}
"""Of all queues. Short leases, so that what a crash left under a lease comes back in the run."""


class Site:
    """What all workers share: the history that they write, and who hears of acknowledgements."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.history = History()
        self.on_answer: Callable[[], None] = lambda: None
        self._numbers = count(1)

    def make_body(self) -> bytes:
        """Return a body that no other message has: text, or bytes that are none."""
        filling = self.rng.randbytes(self.rng.randrange(200))
        if self.rng.random() < 0.5:
            filling = filling.hex().encode()
        return b"%d " % next(self._numbers) + filling

    def begin_publish(self, *bodies: bytes) -> Publish:
        """Note that these are about to be published, all or none."""
        publish = Publish(bodies)
        self.history.publishes.append(publish)
        return publish

    def acknowledge(self, publish: Publish, *ids: int) -> None:
        """Note that a publish was answered with a success."""
        publish.outcome, publish.ids = "ok", ids
        self.on_answer()


class Publisher:
    """Publishes messages one by one, with a key, and in batches."""

    def __init__(self, site: Site, name: str) -> None:
        self._site = site
        self._keys = (f"{name}-{number}" for number in count())
        self._unanswered: tuple[str, str, bytes] | None = None

    async def work(self, client: Client) -> None:
        """Publish until the connection is cut off."""
        await self.finish(client)
        while True:
            queue = self._site.rng.choice(["work", "kept"])
            how = self._site.rng.choices([self._one, self._with_key, self._batch], [5, 3, 2])
            await how[0](client, queue)

    async def finish(self, client: Client) -> None:
        """Repeat the publish that has a key and got no answer."""
        if self._unanswered is not None:
            await self._send_with_key(client, *self._unanswered)

    async def _one(self, client: Client, queue: str) -> None:
        body = self._site.make_body()
        publish = self._site.begin_publish(body)
        message = self._message(body)
        _, answer = await client.request("POST", f"/queues/{queue}/messages", message)
        self._site.acknowledge(publish, answer["message_id"])

    async def _with_key(self, client: Client, queue: str) -> None:
        await self._send_with_key(client, queue, next(self._keys), self._site.make_body())

    async def _send_with_key(self, client: Client, queue: str, key: str, body: bytes) -> None:
        self._unanswered = queue, key, body
        publish = self._site.begin_publish(body)
        path = f"/queues/{queue}/messages"
        _, answer = await client.request("POST", path, body, idempotency_key=key)
        self._unanswered = None
        self._site.acknowledge(publish, answer["message_id"])

    async def _batch(self, client: Client, queue: str) -> None:
        bodies = [self._site.make_body() for _ in range(self._site.rng.randint(2, 20))]
        publish = self._site.begin_publish(*bodies)
        batch = {"messages": [self._message(body) for body in bodies]}
        _, answer = await client.request("POST", f"/queues/{queue}/messages/batch", batch)
        self._site.acknowledge(publish, *(result["message_id"] for result in answer["results"]))

    def _message(self, body: bytes) -> dict[str, object]:
        """Describe a message; some are delayed, some belong to a group, some come first."""
        message: dict[str, object] = {"content_base64": base64.b64encode(body).decode()}
        chance = self._site.rng.random()
        if chance < 0.05:
            message["delay"] = 0.2
        elif chance < 0.15:
            message["group"] = self._site.rng.choice("abc")
        elif chance < 0.25:
            message["priority"] = 9
        return message


class Consumer:
    """Leases messages and settles them in every way; repeats the acks that got no answer."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._unsettled: list[tuple[str, Delivery]] = []

    async def work(self, client: Client) -> None:
        """Consume until the connection is cut off."""
        await self._settle(client, "ack", self._unsettled)
        while True:
            queue = self._site.rng.choices(list(QUEUES), [1, 4, 4])[0]
            if self._site.rng.random() < 0.3:
                await self._consume_one(client, queue)
            else:
                await self._consume_many(client, queue)

    async def drain(self, client: Client) -> None:
        """Ack everything; what failed is brought back for it."""
        await self._settle(client, "ack", self._unsettled)
        while held := await self._held(client):
            for queue in held:
                await client.request("POST", f"/queues/{queue}/redrive")
                asked = {"limit": 100, "wait": 2}
                _, answer = await client.request("POST", f"/queues/{queue}/messages/lease", asked)
                await self._settle(client, "ack", self._note(answer["messages"]))

    async def _held(self, client: Client) -> list[str]:
        """Return the names of the queues with messages that nobody has acked."""
        _, queues = await client.request("GET", "/queues")
        states = ("pending", "processing", "failed")
        return [queue["name"] for queue in queues if any(queue["counts"][s] for s in states)]

    async def _consume_one(self, client: Client, queue: str) -> None:
        status, message = await client.request("GET", f"/queues/{queue}/messages/consume?wait=0.1")
        if status == 204:
            return
        [(receipt, delivery)] = self._unsettled = self._note([message])
        ack = Settlement("ack")
        delivery.settlements.append(ack)
        path = f"/messages/{delivery.id}/ack"
        status, _ = await client.request("POST", path, {"receipt": receipt})
        self._answer(ack, is_ok=status == 200)
        self._unsettled = []

    async def _consume_many(self, client: Client, queue: str) -> None:
        asked = {"limit": self._site.rng.randint(1, 40), "wait": 0.1}
        _, answer = await client.request("POST", f"/queues/{queue}/messages/lease", asked)
        leased = self._note(answer["messages"])
        if leased and self._site.rng.random() < 0.1:
            await self._forward(client, leased.pop())
        parts: dict[Kind | None, list[tuple[str, Delivery]]] = {}
        for lease in leased:
            kinds = ["ack", "retry", "release", "reject", None]  # None: left to lapse
            [kind] = self._site.rng.choices(kinds, [80, 6, 6, 6, 2])
            parts.setdefault(kind, []).append(lease)
        parts.pop(None, None)
        for kind, part in parts.items():
            await self._settle(client, kind, part)

    async def _settle(self, client: Client, kind: Kind, leased: list[tuple[str, Delivery]]) -> None:
        if not leased:
            return
        if kind == "ack":
            self._unsettled = leased
        settlements = [Settlement(kind) for _ in leased]
        for (_, delivery), settlement in zip(leased, settlements, strict=True):
            delivery.settlements.append(settlement)
        receipts = [receipt for receipt, _ in leased]
        bare = kind in ("ack", "release")
        items = receipts if bare else [{"receipt": receipt} for receipt in receipts]
        _, answer = await client.request("POST", "/messages/settle", {kind: items})
        for settlement, result in zip(settlements, answer["results"], strict=True):
            self._answer(settlement, is_ok=result["outcome"] == "ok")
        self._unsettled = []

    async def _forward(self, client: Client, lease: tuple[str, Delivery]) -> None:
        """Ack a message and publish another, both or neither."""
        receipt, delivery = lease
        body = self._site.make_body()
        publish = self._site.begin_publish(body)
        settlement = Settlement("ack", forward=publish)
        delivery.settlements.append(settlement)
        new = {"queue": "work", "content_base64": base64.b64encode(body).decode()}
        asked = {"ack": [receipt], "publish": [new]}
        status, _ = await client.request("POST", "/messages/settle", asked)
        self._answer(settlement, is_ok=status == 200)
        if status == 200:
            self._site.acknowledge(publish)
        else:
            publish.outcome = "refused"

    def _note(self, messages: list[dict[str, str]]) -> list[tuple[str, Delivery]]:
        leased = []
        for message in messages:
            delivery = Delivery(
                int(message["message_id"]),
                _body_of(message),
                leased_at=message["updated_at"],
                lease_until=message["lease_expires_at"],
            )
            self._site.history.deliveries.append(delivery)
            leased.append((message["receipt"], delivery))
        return leased

    def _answer(self, settlement: Settlement, *, is_ok: bool) -> None:
        settlement.outcome = "ok" if is_ok else "refused"
        self._site.on_answer()


def _body_of(message: dict[str, str]) -> bytes:
    if "content_base64" in message:
        return base64.b64decode(message["content_base64"])
    return message["content"].encode()
