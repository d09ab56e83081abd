"""Clients of a recorded broker, and what each of their requests does to which message."""

import asyncio
import base64
import itertools
import json
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

TOKEN_BYTES = 16
"""A receipt begins with the token that the store keeps of a lease."""


@dataclass(eq=False)
class Request:
    """One request, answered with 2xx; `began` and `ended` order all of a history's."""

    connection: tuple[int, int]
    began: int
    ended: int = 0
    steps: dict[str, int] = field(default_factory=dict, repr=False)
    """What it does: which state in its timeline each thing has reached afterwards."""


class History:
    """All requests in the order of their answers, and the states through which things went.

    A message goes by its body, which is published once; `queue q` is a thing too. States are as
    the store shows them, for a message (queue, status, delivery_count, token), and None at first.
    """

    def __init__(self):
        self.requests = []
        self.timelines = {}
        self.run = 0
        self.tick = itertools.count().__next__

    def step(self, request, thing, state):
        """Note what a request does to a thing."""
        timeline = self.timelines.setdefault(thing, [None])
        request.steps[thing] = len(timeline)
        timeline.append(state)

    def published(self, queue, request, body):
        self.step(request, body, (queue, "pending", 0, None))


class Client:
    """One connection of one run of the broker."""

    def __init__(self, history, reader, writer):
        self._history = history
        self._reader, self._writer = reader, writer
        self._connection = (history.run, writer.get_extra_info("sockname")[1])
        self._count = itertools.count()

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        self._writer.close()
        await self._writer.wait_closed()

    async def make_queue(self, name, **policy):
        request = self._send("/queues", {"name": name, "lease_seconds": 3600, **policy})
        self._history.step(request, f"queue {name}", (name, "queue"))
        await self._answer(request)

    async def publish(self, queue, count):
        """Publish messages one by one, all requests sent before the first answer."""
        requests = []
        for body in self._bodies(count):
            requests.append(self._send(f"/queues/{queue}/messages", {"content": body}))
            self._history.published(queue, requests[-1], body)
        for request in requests:
            await self._answer(request)

    async def publish_batch(self, queue, count):
        """Publish messages by one request."""
        bodies = self._bodies(count)
        batch = {"messages": [{"content": body} for body in bodies]}
        request = self._send(f"/queues/{queue}/messages/batch", batch)
        for body in bodies:
            self._history.published(queue, request, body)
        await self._answer(request)

    async def lease(self, queue, limit):
        """Lease messages and return them."""
        request = self._send(f"/queues/{queue}/messages/lease", {"limit": limit})
        messages = (await self._answer(request))["messages"]
        for message in messages:
            self._history.step(request, message["content"], leased(message))
        return messages

    async def settle(self, *, publish_to=None, **operations):
        """Settle leased messages by one request, `ack=[message]`, and perhaps publish another."""
        body = {kind: [m["receipt"] for m in messages] for kind, messages in operations.items()}
        bodies = self._bodies(1) if publish_to else []
        body["publish"] = [{"queue": publish_to, "content": new} for new in bodies]
        request = self._send("/messages/settle", body)
        for new in bodies:
            self._history.published(publish_to, request, new)
        for kind, messages in operations.items():
            for message in messages:
                self._history.step(request, message["content"], settled(message, kind))
        results = (await self._answer(request))["results"]
        assert all(result["outcome"] == "ok" for result in results), results

    async def ack(self, message):
        """Acknowledge one message."""
        request = self._send(f"/messages/{message['id']}/ack", {"receipt": message["receipt"]})
        self._history.step(request, message["content"], settled(message, "ack"))
        await self._answer(request)

    def _send(self, path, body):
        content = json.dumps(body).encode()
        head = f"POST {path} HTTP/1.1\r\nhost: broker\r\ncontent-type: application/json\r\n"
        self._writer.write(f"{head}content-length: {len(content)}\r\n\r\n".encode() + content)
        return Request(self._connection, self._history.tick())

    async def _answer(self, request):
        head = await self._reader.readuntil(b"\r\n\r\n")
        content = await self._reader.readexactly(content_length(head))
        assert head.startswith(b"HTTP/1.1 2"), head + content
        request.ended = self._history.tick()
        self._history.requests.append(request)
        return json.loads(content)

    def _bodies(self, count):
        """Make bodies that no other client makes; one of sixteen is larger than a page."""
        numbers = [next(self._count) for _ in range(count)]
        sizes = [9000 if number % 16 == 7 else 100 for number in numbers]
        return [
            f"{self._connection} {number}. ".ljust(24) * (size // 24)
            for number, size in zip(numbers, sizes, strict=True)
        ]


def content_length(head):
    """Return the size of what follows the head of an answer."""
    return int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])


def leased(message):
    token = base64.urlsafe_b64decode(message["receipt"] + "==")[:TOKEN_BYTES]
    return message["queue"], "processing", message["delivery_count"], token


def settled(message, kind):
    queue, _, count, token = leased(message)
    return {
        "ack": (queue, "processed", count, token),
        "retry": (queue, "pending", count, None),
        "reject": ("dead", "pending", 0, None),
    }[kind]


async def run_load(broker, history, *, rounds, publishers, consumers):
    """Publish, lease and settle in every way, on so many connections at once."""
    history.run += 1
    async with AsyncExitStack() as stack:

        async def connect():
            streams = await asyncio.open_connection("127.0.0.1", broker.port, limit=2**24)
            return await stack.enter_async_context(Client(history, *streams))

        if history.run == 1:
            first = await connect()
            await first.make_queue("dead")
            await first.make_queue("q", dead_letter_queue="dead", retry_base=0)
        async with asyncio.TaskGroup() as clients:
            for _ in range(publishers):
                clients.create_task(publish_much(await connect(), rounds))
            for _ in range(consumers):
                clients.create_task(consume_much(await connect(), rounds))


async def publish_much(client, rounds):
    for _ in range(rounds):
        await client.publish("q", 1)
        await client.publish("q", 11)
        await client.publish_batch("q", 12)


async def consume_much(client, rounds):
    for _ in range(rounds):
        messages = await client.lease("q", 12)
        # Some stay leased.
        await client.settle(ack=messages[:4], retry=messages[4:5], reject=messages[5:6])
        if messages[6:]:
            await client.settle(ack=messages[6:7], publish_to="q")
        for message in messages[7:10]:
            await client.ack(message)
