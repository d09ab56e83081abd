"""Roles, what they ask for, and the broker that answers them.

A role is drawn as what it allows, and is written as scopes only to be sent: what is expected of the
broker is computed by other means than its own.
"""

from typing import Any, NamedTuple

from hypothesis import strategies as st

from broker import Draft, Identity, MessageQuery, QueuePolicy, QueueSpec
from broker.receipts import Receipt, read_receipt, write_receipt

ACTIONS = ("publish", "consume", "read", "manage")
ADMIN = Identity(subject="admin", scopes=frozenset({"admin"}))

TOKENS = """
    from broker import Authenticator, Identity, hookimpl

    class Tokens(Authenticator):
        async def authenticate(self, credentials):
            if credentials.token == "bad":
                return None
            return Identity(subject="tester", scopes=frozenset(credentials.token.split(",")))

    @hookimpl
    def provide_authenticator(plugin):
        return Tokens()
"""


class Thing(NamedTuple):
    """What requests are about: a queue, and a message in it that is leased."""

    queue: str
    message: int
    receipt: str
    name: str = "broker_log_20261122T213000123Z.json"
    """That of a log which is not there."""


class Row(NamedTuple):
    """What a route demands: None of nobody, otherwise these actions, checked in this order."""

    method: str
    path: str
    needs: tuple[str, ...] | None
    body: Any = None
    """Strings in it may name parts of a Thing, as the path does."""
    makes: bool = False
    """It makes the queue, which must not be there."""
    answers: int | None = None
    """What it answers to this request, whoever sends it."""
    goes_on: bool = False
    """It answers with a stream."""


class Glob(NamedTuple):
    """Parts that each match one character, or with `*` any number of them."""

    parts: tuple[str, ...]

    def matches(self, name: str) -> bool:
        if not self.parts:
            return not name
        part, rest = self.parts[0], Glob(self.parts[1:])
        if part == "*":
            return any(rest.matches(name[start:]) for start in range(len(name) + 1))
        if not name or not rest.matches(name[1:]):
            return False
        if part.startswith("[!"):
            return name[0] not in part[2:-1]
        return part == "?" or name[0] in part.strip("[]")


class Role(NamedTuple):
    """What somebody may do."""

    may: tuple[tuple[str, Glob], ...] = ()
    is_admin: bool = False

    def allows(self, action: str, queue: str) -> bool:
        return self.is_admin or any(a == action and glob.matches(queue) for a, glob in self.may)

    def allows_some(self, action: str) -> bool:
        return self.is_admin or any(a == action for a, _ in self.may)

    def sees(self, queue: str) -> bool:
        return any(self.allows(action, queue) for action in ACTIONS)

    @property
    def headers(self) -> dict[str, str]:
        scopes = [f"{action}:{''.join(glob.parts)}" for action, glob in self.may]
        token = ",".join([*scopes, *["admin"][: self.is_admin]])
        return {"authorization": f"Bearer {token or 'nothing'}", "x-request-id": "same"}


EVERYTHING = Glob(("*",))
SHIPPED = {
    "admin": Role(is_admin=True),
    "producer": Role((("publish", EVERYTHING),)),
    "consumer": Role((("consume", EVERYTHING),)),
    "viewer": Role((("read", EVERYTHING),)),
}

CHARACTERS = "abAB.-0"


@st.composite
def globs(draw, name):
    """Globs that match this name more often than not."""
    parts = []
    for character in name:
        other = draw(st.sampled_from(CHARACTERS.replace("-", "")))
        near = [character, character, "?", f"[{other}{character.strip('-')}]", f"[!{other}]", "*"]
        parts.append(draw(st.sampled_from([*near, character.swapcase(), other])))
        if parts[-1] == "*":
            break
    return Glob(tuple(parts))


@st.composite
def requesters(draw):
    """A queue, and a role that may have something to do with it."""
    queue = draw(st.from_regex(r"[abAB0][abAB0.-]{0,5}", fullmatch=True))
    scopes = st.tuples(st.sampled_from(ACTIONS), globs(queue))
    return queue, Role(
        tuple(draw(st.lists(scopes, max_size=4))), draw(st.sampled_from([False] * 9 + [True]))
    )


class World:
    """The broker, and a way round all permissions to put things there and look at everything."""

    def __init__(self, call):
        self._call = call
        self.broker = call.broker

    def routes(self):
        """Every route that is mounted: (method, path) as the transports write it."""
        for name, transport in self._call.assembly.transports:
            # A WebSocket of graphql's takes the same operations as its route, which has a row.
            is_known = name == "graphql" or transport.blueprint() is None
            assert is_known, f"{name} has a blueprint: give its rules rows"
            yield from ((route.method, route.path) for route in transport.routes())

    def put(self, queue: str, *, message: bool = True) -> Thing:
        """Leave nothing there but this queue, with a leased message and another."""
        return self._call.run(self._put(queue, message=message))

    def drop(self) -> None:
        """Leave nothing there."""
        self._call.run(self._drop())

    def everything(self):
        return self._call.run(self._everything())

    def ask(self, row: Row, thing: Thing, headers: dict[str, str], prefix: str = ""):
        path = (prefix + row.path.format(**thing._asdict())).rstrip("/") or "/"
        body = filled(row.body, thing)
        pending = self._call.begin(row.method, path, json=body, headers=headers)
        while row.goes_on and not pending.done:
            self._call.advance(720)  # by then the client has to come again
        return self._call.finish(pending)

    def graph(self, query: str, thing: Thing, headers: dict[str, str]):
        """Ask in GraphQL; the parts of the thing are the variables."""
        body = {"query": query, "variables": thing._asdict()}
        return self._call("POST", "/graphql", json=body, headers=headers)

    async def _put(self, queue: str, *, message: bool) -> Thing:
        await self._drop()
        if not message:
            return Thing(queue, 1, write_receipt(Receipt(b"t" * 16, 1, 1, queue)))
        await self.broker.queues.create(ADMIN, QueueSpec(queue, QueuePolicy()))
        await self.broker.publish(ADMIN, [Draft(queue=queue, body=b"x")] * 2)
        found = await self.broker.lease(ADMIN, queue)
        receipt = found.deliveries[0].receipt
        return Thing(queue, read_receipt(receipt).message_id, receipt)

    async def _drop(self) -> None:
        for status in await self.broker.queues.list(ADMIN):
            await self.broker.queues.drop(ADMIN, status.queue.name)

    async def _everything(self):
        queues = await self.broker.queues.list(ADMIN, limit=1000)
        names = [status.queue.name for status in queues]
        pages = [await self.broker.browse(ADMIN, MessageQuery(queue=name)) for name in names]
        return queues, pages


def filled(body, thing):
    if isinstance(body, dict):
        return {key: filled(value, thing) for key, value in body.items()}
    if isinstance(body, list):
        return [filled(value, thing) for value in body]
    return body.format(**thing._asdict()) if isinstance(body, str) else body
