"""Every route of every transport, asked by every role: who may, who may not, who must not know.

What is expected is computed here, by other means than the broker's: a role is drawn as what it
allows, and is written as scopes only to be sent.
"""

from collections import defaultdict
from importlib.util import find_spec

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from roles import SHIPPED, TOKENS, Role, Row, World, requesters

from broker_auth_jwt.scopes import SHIPPED_ROLES

SOME = "some:"
"""Stands before an action that one has to be allowed with whatever queue there could be."""

DRAFT = {"content": "x"}
TABLE = [
    Row("GET", "/", None),
    Row("GET", "/healthz", None),
    Row("GET", "/readyz", None),
    Row("GET", "/stats", ("admin",)),
    Row("GET", "/logs", ("admin",)),
    Row("GET", "/logs/{name}", ("admin",), answers=404),
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
    *(
        Row("GET", path, None)
        for path in (
            *("/openapi.json", "/asyncapi.json"),
            *("/docs", "/docs/page.js", "/redoc", "/redoc/page.js"),
        )
    ),
]
PLUGINS = ["memory", "tokens", "auth_jwt", "sse"]
if find_spec("broker_graphql"):
    PLUGINS.append("graphql")
    # What each of its fields demands: test_graphql_permissions.py.
    TABLE.append(Row("POST", "/graphql", (), {"query": "query {{ me {{ subject }} }}"}))


def filled_in(path: str) -> str:
    """A route's path as rows write it."""
    return path.replace("{id}", "{message}").replace("{file}", "page.js")


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
    return World(serve(plugins=PLUGINS))


def test_every_route_has_a_row(world):
    rows = {(row.method, row.path.partition("?")[0]) for row in TABLE}

    assert {(method, filled_in(path)) for method, path in world.routes()} == rows


def test_the_documentation_tells_what_each_demands(world):
    demanded = defaultdict(set)
    for row in TABLE:
        is_open = row.needs is None and row.answers != 401
        demanded[row.method, row.path.partition("?")[0]] |= {
            action and action.removeprefix(SOME)
            for action in ((None,) if is_open else row.needs or ())
        }

    assert demanded == {
        (route.method, filled_in(route.path)): {None}
        if route.described.needs is None
        else {*route.described.needs}
        for route in world.broker.routes
    }


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
