"""How much the broker does at one time, whatever serves its routes."""

import asyncio

import pytest

HELD = """
    import asyncio
    from broker import Interceptor, Rejected, hookimpl

    class Held(Interceptor):
        def __init__(self):
            self.let_go = asyncio.Event()

        async def before_publish(self, identity, batch):
            await self.let_go.wait()
            if batch[0].body == b"bad":
                raise Rejected("bad")
            return batch

    held = Held()

    @hookimpl
    def provide_interceptor(plugin):
        return held
"""
"""Publishes are not finished before they are let go."""


def publish(call, content="hello"):
    return call.begin("POST", "/queues/q/messages", json={"content": content})


@pytest.fixture
def call(serve, install):
    """A broker that works at two requests at one time, and holds those that publish."""
    install("held", HELD)
    call = serve(anonymous=True, plugins=["memory", "held"], server={"max_requests": 2})
    assert call("POST", "/queues", json={"name": "q"}).status == 201
    return call


def let_go(call):
    from acme_held import held

    async def let_go():
        held.let_go.set()

    call.run(let_go())


def test_one_more_request_than_there_may_be_in_flight_is_503(call):
    held = [publish(call), publish(call)]

    refused = call("POST", "/queues/q/messages", json={"content": "one too many"})

    assert (refused.status, refused.headers["retry-after"]) == (503, "1")
    assert refused.json["code"] == "overloaded"
    assert refused.json["detail"] == "too many requests are in flight; try again soon"
    let_go(call)
    assert [call.finish(pending).status for pending in held] == [201, 201]
    assert call("GET", "/queues/q").json["counts"]["pending"] == 2


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz"])
def test_who_asks_for_the_health_is_answered_all_the_same(call, path):
    for _ in range(2):
        publish(call)

    assert call("GET", path).status == 200
    assert call("GET", "/stats").status == 503


@pytest.mark.parametrize(("content", "status"), [("good", 201), ("bad", 422)])
def test_a_request_that_is_answered_gives_its_place_back(call, content, status):
    held = [publish(call, content), publish(call, content)]
    let_go(call)
    assert [call.finish(pending).status for pending in held] == [status] * 2

    assert call.broker.turns.in_flight == 0
    assert call("GET", "/queues/q").status == 200


def test_one_that_fails_gives_its_place_back(call, monkeypatch):
    async def fail(identity, name):
        raise RuntimeError

    monkeypatch.setattr(call.broker.queues, "get", fail)

    assert [call("GET", "/queues/q").status for _ in range(3)] == [500] * 3


@pytest.mark.parametrize("path", ["/queues/q/messages/consume", "/queues/q/messages"])
def test_one_whose_client_goes_gives_its_place_back(call, path, monkeypatch):
    async def hold(*_, **__):
        await asyncio.Event().wait()

    monkeypatch.setattr(call.broker, "lease", hold)
    monkeypatch.setattr(call.broker, "browse", hold)
    pending = call.begin("GET", path)
    assert call.broker.turns.in_flight == 1

    call.hang_up(pending)

    assert call.broker.turns.in_flight == 0


def test_who_waits_for_messages_is_not_in_flight(call):
    waiting = [call.begin("GET", "/queues/q/messages/consume?wait=20") for _ in range(5)]
    assert call.broker.turns.in_flight == 0
    assert call("GET", "/queues/q").status == 200

    call.hang_up(waiting.pop())
    let_go(call)
    call.publish()

    assert sorted(pending.done for pending in waiting) == [False, False, False, True]
    assert call.broker.turns.in_flight == 0
    call.advance(20)
    assert sorted(call.finish(pending).status for pending in waiting) == [200, 204, 204, 204]
    assert call.broker.turns.in_flight == 0


def test_who_is_served_after_waiting_is_never_refused(call):
    waiting = call.begin("GET", "/queues/q/messages/consume?wait=20")
    held = [publish(call), publish(call)]

    call.advance(20)

    assert call.finish(waiting).status == 204
    assert not any(pending.done for pending in held)


def test_a_request_whose_body_still_comes_is_not_in_flight(call):
    begun = [
        call.begin(
            "POST",
            "/queues/q/messages",
            body=[b'{"content": ', b'"late"}'],
            content_type="application/json",
            slowly=True,
        )
        for _ in range(3)
    ]

    assert call("GET", "/queues/q").status == 200
    let_go(call)
    assert [call.finish(pending).status for pending in begun] == [201] * 3


WAIT = ("GET", "/queues/q/messages/consume?wait=20")


@pytest.fixture
def crowded(serve):
    """A broker in which two may wait, both of one address."""
    call = serve(anonymous=True, max_waiting_per_identity=2)
    assert call("POST", "/queues", json={"name": "q"}).status == 201
    return call


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [(*WAIT, None), ("POST", "/queues/q/messages/lease", {"wait": 20})],
    ids=["consume", "lease"],
)
def test_one_more_long_poll_than_an_address_may_have_is_429(crowded, method, path, body):
    waiting = [crowded.begin(*WAIT) for _ in range(2)]

    refused = crowded(method, path, json=body)

    assert (refused.status, refused.headers["retry-after"]) == (429, "1")
    assert refused.json["code"] == "too-many-waiting"
    assert refused.json["detail"] == (
        "2 of your requests wait already, which is what broker.max_waiting_per_identity allows; "
        "try again when some of them have ended"
    )
    assert not any(pending.done for pending in waiting)
    assert crowded("GET", "/queues/q/messages/consume").status == 204


def test_one_more_long_poll_than_there_may_be_is_503(serve):
    call = serve(anonymous=True, max_waiting=2)
    assert call("POST", "/queues", json={"name": "q"}).status == 201
    for _ in range(2):
        call.begin(*WAIT)

    refused = call(*WAIT)

    assert (refused.status, refused.headers["retry-after"]) == (503, "1")
    assert refused.json["code"] == "overloaded"


def test_who_finds_a_message_at_once_does_not_wait_and_is_not_refused(crowded):
    assert crowded("POST", "/queues", json={"name": "other"}).status == 201
    for _ in range(2):
        crowded.begin("GET", "/queues/other/messages/consume?wait=20")
    crowded.publish()

    assert crowded(*WAIT).status == 200
    assert crowded(*WAIT).status == 429


def test_the_place_of_a_client_that_goes_is_free(crowded):
    for _ in range(5):
        waiting = [crowded.begin(*WAIT) for _ in range(2)]
        assert crowded(*WAIT).status == 429
        for pending in waiting:
            crowded.hang_up(pending)

    pending = crowded.begin(*WAIT)
    crowded.advance(20)
    assert crowded.finish(pending).status == 204


@pytest.fixture
def full(serve):
    """A broker with as many queues as there may be: two."""
    call = serve(anonymous=True, max_queues=2)
    for name in ("one", "two"):
        assert call("POST", "/queues", json={"name": name}).status == 201
    return call


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [("POST", "/queues", {"name": "three"}), ("PUT", "/queues/three", {})],
)
def test_one_more_queue_than_there_may_be_is_429(full, method, path, body):
    refused = full(method, path, json=body)

    assert (refused.status, refused.json["code"]) == (429, "too-many-queues")
    assert refused.json["detail"] == (
        "there are all the 2 queues that broker.max_queues allows; "
        "delete one, or have the limit raised"
    )
    assert [queue["name"] for queue in full.queues()] == ["one", "two"]


def test_queues_that_are_there_can_be_changed_when_no_other_can_be_made(full):
    assert full("PUT", "/queues/one", json={"lease_seconds": 7}).status == 200
    assert full("PATCH", "/queues/one", json={"lease_seconds": 8}).status == 200
    assert full("POST", "/queues/one/pause").status == 200
    assert full("POST", "/queues", json={"name": "one"}).status == 409
    headers = {"if-match": '"v1"'}
    assert full("PUT", "/queues/three", json={}, headers=headers).status == 412


def test_a_queue_that_is_deleted_makes_room_for_another(full):
    for _ in range(3):
        assert full("DELETE", "/queues/one").status == 204
        assert full("DELETE", "/queues/one").status == 404
        assert full("POST", "/queues", json={"name": "one"}).status == 201
        assert full("POST", "/queues", json={"name": "three"}).status == 429


def test_of_fifty_queues_at_once_as_many_are_made_as_there_is_room_for(serve):
    call = serve(anonymous=True, max_queues=10)

    begun = [call.begin("POST", "/queues", json={"name": f"q{n}"}) for n in range(50)]

    statuses = [call.finish(pending).status for pending in begun]
    assert sorted(statuses) == [201] * 10 + [429] * 40
    assert len(call.queues()) == 10
