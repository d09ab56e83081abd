"""Whatever a plugin does, it does to itself: who asks it for something gets an answer that tells
nothing, the log names it, and everybody else is served as before.

Each is a whole broker in this process; test_hostile_plugins_served.py has it served in earnest.
"""

import asyncio

import pytest
from hostile_plugins import RAISED, RETURNED, install_hostile

from broker.operations import gate, intercepting
from broker.operations.listening import MOST_FAILURES

OBJECTS = [how for how in RETURNED if how != "None"]
"""What nobody may return who may return nothing."""


@pytest.fixture
def call(serve, install, monkeypatch):
    """A broker among hostile plugins, which waits for none longer than a turn of the loop."""
    monkeypatch.setattr(intercepting, "PATIENCE_SECONDS", 0)
    monkeypatch.setattr(gate, "PATIENCE_SECONDS", 0)
    call = serve(plugins=install_hostile(install), anonymous=True)
    assert call("POST", "/queues", json={"name": "sound"}).status == 201
    return call


@pytest.fixture(autouse=True)
def unharmed(call):
    """Before and after, others publish and get what they published."""
    check_sound(call)
    yield
    check_sound(call)


def check_sound(call):
    call.publish("sound", "sound")
    [message] = call.lease("sound")
    assert message["content"] == "sound"
    ack = call("POST", f"/messages/{message['id']}/ack", json={"receipt": message["receipt"]})
    assert ack.status == 200


def publish(call, queue, **request):
    call("POST", "/queues", json={"name": queue})
    content = {"content": "x", "headers": {"a": "b"}}
    return call("POST", f"/queues/{queue}/messages", json=content, **request)


def pending(call, queue):
    return call("GET", f"/queues/{queue}").json["counts"]["pending"]


def check_refused(answer, status):
    """Check that it is a problem of which a client learns no more than that."""
    code = {500: "internal", 503: "unavailable"}[status]
    assert (answer.status, answer.json["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert ("retry-after" in answer.headers) == (status == 503)
    assert answer.json["request_id"] == answer.headers["x-request-id"]
    assert b"secret" not in answer.body


def check_told(call, caplog, plugin, step):
    """Check that the plugin was counted, and that the log told of it and why, once."""
    assert call.broker.failures == {(plugin, step): 1}
    told = [record for record in caplog.records if f'plugin "{plugin}" failed' in record.message]
    assert {record.levelname for record in told} == {"ERROR"}
    assert [record for record in told if record.exc_info] == told[:1]


@pytest.mark.parametrize("how", [*RAISED, *RETURNED, "hangs", "mutates"])
def test_an_interceptor_that_breaks_is_that_publishs_500(call, caplog, how):
    answer = publish(call, f"interceptor.{how}")

    if how == "hangs":
        check_refused(answer, 503)
        check_told(call, caplog, "interceptor", "intercept a publish in time")
    else:
        check_refused(answer, 500)
        check_told(call, caplog, "interceptor", "intercept a publish")
    assert pending(call, f"interceptor.{how}") == 0


@pytest.mark.parametrize("how", [*RAISED, *RETURNED, "hangs"])
def test_a_rate_limiter_that_breaks_lets_nobody_through(call, caplog, how):
    check_refused(publish(call, f"limiter.{how}"), 503)
    check_told(call, caplog, "limiter", "count")


@pytest.mark.parametrize("how", [*RAISED, *RETURNED, "coroutine"])
def test_an_authorizer_that_breaks_permits_nothing(call, caplog, how):
    check_refused(publish(call, f"authorizer.{how}"), 503)
    check_told(call, caplog, "authorizer", "permit")


@pytest.mark.parametrize("how", [*RAISED, *OBJECTS, "hangs"])
def test_an_authenticator_that_breaks_lets_nobody_in(call, caplog, how):
    token = {"authorization": f"Bearer authenticator.{how}"}

    check_refused(publish(call, "sound", headers=token), 503)
    check_told(call, caplog, "authenticator", "authenticate")
    assert pending(call, "sound") == 0


@pytest.mark.parametrize("how", [*RAISED, *RETURNED, "too-few"])
def test_a_storage_that_breaks_is_that_requests_500(call, caplog, how):
    check_refused(publish(call, f"storage.{how}"), 500)
    check_told(call, caplog, "storage", "publish")


@pytest.mark.parametrize("how", [*RAISED, *RETURNED])
def test_a_storage_that_breaks_as_it_leases_is_that_requests_500(call, caplog, how):
    assert publish(call, f"leasing.{how}").status == 201

    check_refused(call("POST", f"/queues/leasing.{how}/messages/lease", json={}), 500)
    check_told(call, caplog, "storage", "lease")


def test_a_storage_that_hangs_keeps_only_those_who_ask_it_for_that(call):
    call("POST", "/queues", json={"name": "storage.hangs"})
    waiting = call.begin("POST", "/queues/storage.hangs/messages", json={"content": "x"})

    check_sound(call)
    assert not waiting.done
    call.assembly.providers.storage[1].go_on.set()
    assert call.finish(waiting).status == 201


@pytest.mark.parametrize("how", [*RAISED, *RETURNED])
def test_a_storage_that_cannot_be_maintained_is_asked_again(call, caplog, how):
    _, storage = call.assembly.providers.storage
    storage.how_to_maintain = how
    call.advance(1)
    storage.how_to_maintain = None

    check_sound(call)
    check_told(call, caplog, "storage", "maintain")
    call.publish("late", "sound")
    call.lease("sound", lease_seconds=5)
    call.advance(6)
    assert pending(call, "sound") == 1
    assert call.lease("sound")


UNSOUND = ["bad-status", "bad-header", "bad-headers", "bad-body"]


@pytest.mark.parametrize("how", [*RAISED, *RETURNED, *UNSOUND])
@pytest.mark.parametrize("route", ["route", "hot"])
def test_a_route_that_breaks_is_that_requests_500(call, caplog, route, how):
    check_refused(call("POST", f"/{route}/{how}"), 500)
    check_told(call, caplog, "transport", "answer")


@pytest.mark.parametrize("how", [*RAISED, "None", "object", "true"])
def test_a_view_that_breaks_is_that_requests_500(call, caplog, how):
    check_refused(call("POST", f"/view/{how}"), 500)
    check_told(call, caplog, "transport", "answer")


@pytest.mark.parametrize("path", ["/route/hangs", "/hot/hangs"])
def test_a_route_that_hangs_keeps_only_those_who_ask_it(call, path):
    waiting = call.begin("POST", path)

    check_sound(call)
    assert not waiting.done
    dict(call.assembly.transports)["transport"].go_on.set()
    assert call.finish(waiting).status == 200


def test_a_view_that_hangs_ends_when_its_client_goes(call):
    waiting = call.begin("POST", "/view/hangs")

    check_sound(call)
    assert not waiting.done
    call.hang_up(waiting)


@pytest.mark.parametrize("how", [*RAISED, "object", "text"])
def test_a_stream_that_breaks_ends_with_its_farewell(call, caplog, how):
    answer = call("GET", f"/stream/{how}")

    assert (answer.status, answer.body) == (200, b"first\nfailed")
    check_told(call, caplog, "transport", "go on with a stream")
    assert len(call.broker.streams) == 0


@pytest.mark.parametrize("how", RAISED)
def test_a_body_that_breaks_in_its_middle_is_broken_off(call, caplog, how):
    with pytest.raises(RuntimeError):  # which is what has a server break it off
        call("GET", f"/page/{how}")

    check_told(call, caplog, "transport", "answer")


def observer(call, name):
    return dict(call.assembly.providers.observers)[name]


@pytest.mark.parametrize("how", [*RAISED, *RETURNED])
@pytest.mark.parametrize("name", ["observer", "listener"])
def test_an_observer_that_breaks_breaks_no_publish(call, caplog, name, how):
    assert publish(call, f"{name}.{how}").status == 201
    check_sound(call)
    wait_for_the_newest(call, name)

    if how in RAISED:
        check_told(call, caplog, name, "observe")
    else:  # nobody asks what it returns
        assert call.broker.failures == {}


def wait_for_the_newest(call, name):
    """Return when the observer has heard of all that happened so far."""
    assert call("POST", "/queues/sound/pause").status == 200
    while observer(call, name).heard.get(timeout=60).kind != "queue.paused":
        pass
    assert call("POST", "/queues/sound/resume").status == 200


def test_an_observer_that_always_breaks_is_told_no_more(call, caplog):
    for _ in range(MOST_FAILURES + 5):
        assert publish(call, "listener.RuntimeError").status == 201

    assert call.broker.failures["listener", "observe any more"] == 1
    assert 'the observer of plugin "listener" is told no more' in caplog.text


def test_an_observer_that_blocks_its_thread_slows_no_publish(call):
    blocking = observer(call, "observer")
    for _ in range(10):
        assert publish(call, "observer.blocks").status == 201
    check_sound(call)
    wait_for_the_newest(call, "listener")

    heard = blocking.heard.qsize()
    blocking.go_on.set()
    wait_for_the_newest(call, "observer")
    assert heard < 10
    assert call.broker.failures == {}


def test_an_observer_that_blocks_the_loop_is_told_no_more(call, caplog):
    assert publish(call, "listener.is-slow").status == 201
    heard = observer(call, "listener").heard.qsize()
    check_sound(call)

    assert observer(call, "listener").heard.qsize() == heard
    assert call.broker.failures == {
        ("listener", "observe in time"): 1,
        ("listener", "observe any more"): 1,
    }
    assert 'the observer of plugin "listener" is told no more: it blocks the event loop' in (
        caplog.text
    )


def test_background_work_that_dies_ends_alone(call, caplog):
    assert call("POST", "/background/dies").status == 200
    call.run(asyncio.sleep(0))

    check_sound(call)
    check_told(call, caplog, "background", "go on in the background")
