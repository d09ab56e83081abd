"""Every route of every transport, asked by every role: who may, who may not, who must not know.

What is expected is computed here, by other means than the broker's: a role is drawn as what it
allows, and is written as scopes only to be sent.
"""

from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from broker import Draft, Identity, MessageQuery, QueuePolicy, QueueSpec
from broker_auth_jwt.scopes import SHIPPED_ROLES
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


SOME = "some:"
"""Stands before an action that one has to be allowed with whatever queue there could be."""

DRAFT = {"content": "x"}
TABLE = [
    Row("GET", "/", None),
    Row("GET", "/healthz", None),
    Row("GET", "/readyz", None),
    Row("GET", "/stats", ("admin",)),
    Row("GET", "/queues", ()),
    Row("POST", "/queues", ("manage",), {"name": "{queue}"}, makes=True),
    Row("GET", "/queues/{queue}", ("read",)),
    Row("PUT", "/queues/{queue}", ("manage",), {"paused": True}),
    Row("PUT", "/queues/{queue}", ("manage",), {}, makes=True),
    Row("PATCH", "/queues/{queue}", ("manage",), {"paused": True}),
    Row("DELETE", "/queues/{queue}", ("manage",)),
    Row("POST", "/queues/{queue}/purge", ("manage",)),
    Row("POST", "/queues/{queue}/redrive", ("manage",)),
    Row("POST", "/queues/{queue}/pause", ("manage",)),
    Row("POST", "/queues/{queue}/resume", ("manage",)),
    Row("POST", "/queues/{queue}/messages", ("publish",), DRAFT),
    Row("POST", "/queues/{queue}/messages/batch", ("publish",), {"messages": [DRAFT]}),
    Row("POST", "/queues/{queue}/messages/lease", ("consume",), {}),
    Row("GET", "/queues/{queue}/messages/consume", ("consume",)),
    Row("GET", "/queues/{queue}/messages/stream", ("consume",), goes_on=True),
    Row("GET", "/queues/{queue}/messages", ("read",)),
    Row("GET", "/messages/{message}", ("read",)),
    Row("DELETE", "/messages/{message}", ("manage",)),
    *(
        Row("POST", f"/messages/{{message}}/{verb}", ("consume",), body)
        for verb in ("ack", "nack", "nack?requeue=true", "extend", "release")
        for body in ({}, {"receipt": "{receipt}"})
    ),
    *(
        Row("POST", "/messages/settle", ("consume",), {kind: ["{receipt}"]})
        for kind in ("ack", "retry", "reject", "release", "extend")
    ),
    Row("POST", "/messages/settle", ("publish",), {"publish": [{"queue": "{queue}", **DRAFT}]}),
    Row(
        "POST",
        "/messages/settle",
        ("consume", "publish"),
        {"ack": ["{receipt}"], "publish": [{"queue": "{queue}", **DRAFT}]},
    ),
    # No form, and no tokens of its own: these look at nothing else.
    Row("POST", "/login", None, {}, answers=415),
    Row("POST", "/refresh", None, answers=401),
    Row("POST", "/logout", None, answers=401),
    Row("GET", "/me", ()),
    Row("GET", "/.well-known/jwks.json", None),
    Row("POST", "/events/ticket", ("some:read",)),
    Row("POST", "/events/session", ("some:read",)),
    Row("DELETE", "/events/session", None, answers=204),
    Row("GET", "/events", ("some:read",), goes_on=True),
    Row("GET", "/stream/{queue}", ("read",), goes_on=True),
]


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
        self._broker = call.broker

    def routes(self):
        """Every route that is mounted: (method, path) as the transports write it."""
        for name, transport in self._call.assembly.transports:
            assert transport.blueprint() is None, f"{name} has a blueprint: give its rules rows"
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

    async def _put(self, queue: str, *, message: bool) -> Thing:
        await self._drop()
        if not message:
            return Thing(queue, 1, write_receipt(Receipt(b"t" * 16, 1, 1, queue)))
        await self._broker.queues.create(ADMIN, QueueSpec(queue, QueuePolicy()))
        await self._broker.publish(ADMIN, [Draft(queue=queue, body=b"x")] * 2)
        found = await self._broker.lease(ADMIN, queue)
        receipt = found.deliveries[0].receipt
        return Thing(queue, read_receipt(receipt).message_id, receipt)

    async def _drop(self) -> None:
        for status in await self._broker.queues.list(ADMIN):
            await self._broker.queues.drop(ADMIN, status.queue.name)

    async def _everything(self):
        queues = await self._broker.queues.list(ADMIN, limit=1000)
        names = [status.queue.name for status in queues]
        pages = [await self._broker.browse(ADMIN, MessageQuery(queue=name)) for name in names]
        return queues, pages


def filled(body, thing):
    if isinstance(body, dict):
        return {key: filled(value, thing) for key, value in body.items()}
    if isinstance(body, list):
        return [filled(value, thing) for value in body]
    return body.format(**thing._asdict()) if isinstance(body, str) else body


def missing(row: Row, role: Role, queue: str) -> str | None:
    """The first scope that a role lacks for a route."""
    for action in row.needs or ():
        if action == "admin":
            return None if role.is_admin else "admin"
        if action.startswith(SOME):
            some = action.removeprefix(SOME)
            return None if role.allows_some(some) else f"{some}:<queue>"
        if not role.allows(action, queue):
            return f"{action}:{queue}"
    return None


@pytest.fixture
def world(serve, install) -> World:
    install("tokens", TOKENS)
    return World(serve(plugins=["memory", "tokens", "auth_jwt", "sse"]))


def test_every_route_has_a_row(world):
    rows = {(row.method, row.path.partition("?")[0]) for row in TABLE}

    assert {(method, path.replace("{id}", "{message}")) for method, path in world.routes()} == rows


def check(world: World, row: Row, role: Role, queue: str, prefix: str = ""):
    """Ask, and hold the answer against what this role may do."""
    thing = world.put(queue, message=not row.makes)
    before = world.everything()
    answer = world.ask(row, thing, role.headers, prefix)
    lacking = missing(row, role, queue)
    about = (row, role.headers, queue, answer)
    if lacking is None:
        assert row.answers == answer.status if row.answers else answer.status < 300, about
        return
    assert world.everything() == before, about
    if lacking == "admin" or row.needs == ("some:read",) or role.sees(queue):
        assert (answer.status, answer.json["code"]) == (403, "forbidden"), about
        assert answer.json["detail"] == f'this needs the scope "{lacking}"', about
        return
    assert answer.status == 404, about
    world.drop()
    assert world.ask(row, thing, role.headers, prefix) == answer, about


@pytest.mark.parametrize("role", SHIPPED.values(), ids=SHIPPED)
def test_a_shipped_role_may_do_what_it_is_for(world, role):
    for row in TABLE:
        check(world, row, role, "q")


def test_the_shipped_roles_are_those_of_the_plugin():
    assert set(SHIPPED) == set(SHIPPED_ROLES)
    for name, scopes in SHIPPED_ROLES.items():
        assert SHIPPED[name].headers["authorization"] == f"Bearer {','.join(scopes)}"


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer bad"}], ids=["none", "bad"])
def test_who_is_not_known_may_do_nothing(world, headers):
    for row in TABLE:
        thing = world.put("q", message=not row.makes)
        before = world.everything()
        answer = world.ask(row, thing, {**headers, "x-request-id": "same"})
        if row.needs is None:
            assert answer.status == (row.answers or 200), row
            continue
        assert (answer.status, world.everything()) == (401, before), row
        assert answer.headers["www-authenticate"].startswith("Bearer"), row
        world.drop()
        assert world.ask(row, thing, {**headers, "x-request-id": "same"}) == answer, row


@given(requester=requesters(), prefix=st.sampled_from(["", "/v1"]))
@settings(
    max_examples=40,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_role_may_do_what_its_scopes_say_and_learns_of_nothing_else(world, requester, prefix):
    queue, role = requester
    for row in TABLE:
        check(world, row, role, queue, prefix)
    thing = world.put(queue)
    listed = world.ask(Row("GET", "/queues", ()), thing, role.headers).json
    assert [view["name"] for view in listed] == [queue] * role.allows("read", queue)


NONSENSE = [
    "publish",
    "publish:",
    "PUBLISH:*",
    "publish :*",
    "publish:*:q",
    "publish:Q",
    "*",
    "*:*",
    "q",
    "Admin",
    "admin:*",
    "publish:[",
    "publish:[]",
    "publish:[!q]",
    "publish:[!]q]",
    "publish:q?",
    "publish:[a-p]",
    "publish:[z-a]",
    "producer",
]


def test_a_scope_that_says_something_else_opens_nothing(world):
    thing = world.put("q")
    before = world.everything()

    for row in TABLE:
        about_no_queue = {None: row.answers or 200, (): 200, ("admin",): 403, ("some:read",): 403}
        expected = about_no_queue.get(row.needs, 404)
        for scope in NONSENSE:
            answer = world.ask(row, thing, {"authorization": f"Bearer {scope}"})
            assert answer.status == expected, (scope, row, answer)
    assert world.everything() == before
