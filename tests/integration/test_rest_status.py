"""How the broker is: liveness, readiness, numbers."""

import asyncio

import pytest

ROUTES = [
    ("GET", "/"),
    ("GET", "/stats"),
    ("GET", "/logs"),
    ("GET", "/logs/x"),
    ("GET", "/queues"),
    ("POST", "/queues"),
    ("GET", "/queues/q"),
    ("PUT", "/queues/q"),
    ("PATCH", "/queues/q"),
    ("DELETE", "/queues/q"),
    ("POST", "/queues/q/messages"),
    ("POST", "/queues/q/messages/batch"),
    ("POST", "/queues/q/messages/lease"),
    ("GET", "/queues/q/messages/consume"),
    ("GET", "/queues/q/messages"),
    ("POST", "/queues/q/purge"),
    ("POST", "/queues/q/redrive"),
    ("POST", "/queues/q/pause"),
    ("POST", "/queues/q/resume"),
    ("POST", "/messages/settle"),
    ("POST", "/messages/1/ack"),
    ("POST", "/messages/1/nack"),
    ("POST", "/messages/1/extend"),
    ("POST", "/messages/1/release"),
    ("GET", "/messages/1"),
    ("DELETE", "/messages/1"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
]
OPEN = {"/", "/healthz", "/readyz"}


@pytest.mark.parametrize("prefix", ["", "/v1"])
@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_every_route_is_there_at_the_root_and_under_v1(serve, method, path, prefix):
    call = serve(anonymous=False)

    status = call(method, f"{prefix}{path}".rstrip("/") or "/").status

    # Whoever is not known gets 401 from a route that exists, and 404 or 405 from any other.
    assert status == (200 if path in OPEN else 401)


def test_the_index_says_what_answers_here(call):
    assert call("GET", "/").json == {
        "name": "Replika Broker",
        "status": "running",
        "version": "0.1.0",
        "timestamp": "2023-11-14T22:13:20.000Z",
    }


def test_a_broker_that_lives_says_so(call):
    assert call("GET", "/healthz").json == {"status": "ok"}


def test_a_broker_whose_parts_work_is_ready(serve):
    assert serve(anonymous=False)("GET", "/readyz").json == {"status": "ready"}


def test_a_broker_that_is_about_to_drain_serves_but_says_to_ask_others(call):
    call.broker.retire()

    assert call("GET", "/readyz").status == 503
    answer = call("POST", "/queues", json={"name": "q"})
    assert (answer.status, answer.headers["connection"]) == (201, "close")


def test_a_draining_broker_is_alive_but_not_ready(call):
    call.broker.drain()

    answer = call("GET", "/readyz")

    assert (answer.status, answer.json["detail"]) == (503, "draining")
    assert answer.headers["retry-after"] == "1"
    assert call("GET", "/healthz").status == 200
    assert call("GET", "/").json["status"] == "draining"


def break_storage(call, monkeypatch):
    async def broken(*_, **__):
        raise OSError("postgres://user:secret@host")

    _, storage = call.assembly.providers.storage
    for operation in ("ping", "maintain"):
        monkeypatch.setattr(storage, operation, broken)


KEYS = """
    from broker import Authenticator, Identity, hookimpl

    class Keys(Authenticator):
        async def authenticate(self, credentials):
            scopes = {"admin": {"admin"}, "reader": {"read:*"}}.get(credentials.token)
            if credentials.token == "breaks":
                raise OSError("directory down")
            return scopes and Identity(subject=credentials.token, scopes=frozenset(scopes))

    @hookimpl
    def provide_authenticator(plugin):
        return Keys()
"""


@pytest.fixture
def ask(serve, install):
    """Ask for readiness with a token."""
    install("keys", KEYS)
    call = serve(plugins=["memory", "keys"])

    def ask(token):
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        return call("GET", "/readyz", headers=headers)

    ask.call = call
    return ask


STRANGERS = [None, "reader", "nobody", "breaks"]


def test_an_admin_sees_how_each_plugin_is(ask, monkeypatch):
    names = [plugin.name for plugin in ask.call.broker.info.plugins]
    well = dict.fromkeys(names, "ok")

    answer = ask("admin")
    assert {"memory", "keys", "scopes", "rest"} <= set(names)
    assert (answer.status, answer.json) == (200, {"status": "ready", "checks": well})

    break_storage(ask.call, monkeypatch)
    ask.call.advance(1)
    broken = ask("admin")
    assert (broken.status, broken.json["detail"]) == (503, "not working now")
    assert broken.json["checks"] == {**well, "memory": "OSError"}


@pytest.mark.parametrize("token", STRANGERS)
def test_who_is_no_admin_sees_the_status_only(ask, monkeypatch, token):
    assert ask(token).json == {"status": "ready"}

    break_storage(ask.call, monkeypatch)
    ask.call.advance(1)
    answer = ask(token)
    assert (answer.status, answer.json["detail"]) == (503, "not working now")
    assert "checks" not in answer.json


def test_nobody_is_identified_for_a_probe_when_there_is_enough_to_do(ask):
    ask.call.broker.turns.in_flight = ask.call.broker.turns.most

    assert ask("admin").json == {"status": "ready"}


def test_a_plugin_is_asked_by_its_transport_too(serve, install):
    install(
        "door",
        """
        from broker import Transport, Unavailable, hookimpl

        class Door(Transport):
            async def ping(self):
                raise Unavailable("the door is shut")

        @hookimpl
        def provide_transport(plugin, broker):
            return Door()
        """,
    )
    call = serve(anonymous=True, plugins=["memory", "door"])

    answer = call("GET", "/readyz")

    assert (answer.status, answer.json["checks"]["door"]) == (503, "the door is shut")


def test_a_broker_whose_storage_is_down_is_alive(call, monkeypatch):
    break_storage(call, monkeypatch)
    for _ in range(10):
        call.advance(60)  # the upkeep fails, and tries again

    assert call("GET", "/readyz").status == 503
    assert call("GET", "/healthz").status == 200


def test_a_broker_whose_upkeep_stands_still_is_to_be_restarted(call, monkeypatch):
    async def hang(**_):
        await asyncio.Event().wait()

    _, storage = call.assembly.providers.storage
    monkeypatch.setattr(storage, "maintain", hang)
    call.advance(5)
    call.advance(299)
    assert call("GET", "/healthz").status == 200
    call.advance(2)

    answer = call("GET", "/healthz")

    assert answer.status == 503
    assert answer.json["detail"] == "the upkeep stands still; restart the broker"
    call.broker.retire()
    assert call("GET", "/healthz").status == 200


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz"])
def test_a_probe_may_carry_whatever_its_prober_adds(call, path):
    assert call("GET", f"{path}?t=1&t=2", body=b"x").status == 200
