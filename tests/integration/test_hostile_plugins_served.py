"""A served broker among plugins that do their worst, one after the other and all in one process,
which goes on, ends in time when it is told to, and has kept what it acknowledged."""

import os
import socket
import sys
from contextlib import ExitStack

import httpx
import pytest
from hostile_plugins import DURABLE, RAISED, RETURNED, install_hostile
from served import HTTP_SERVERS, Served, begin

TOLD = [
    'plugin "interceptor" failed to intercept a publish',
    'plugin "interceptor" failed to intercept a publish in time',
    'plugin "limiter" failed to count',
    'plugin "authenticator" failed to authenticate',
    'plugin "authorizer" failed to permit',
    'plugin "storage" failed to publish',
    'plugin "transport" failed to answer request',
    'plugin "transport" failed to go on with a stream',
    'plugin "observer" failed to observe',
    'plugin "listener" failed to observe',
    'the observer of plugin "listener" is told no more: it blocks the event loop',
    'plugin "background" failed to go on in the background',
]
"""What the log has of all that."""


@pytest.fixture(params=HTTP_SERVERS)
def serve(request, tmp_path, install, monkeypatch):
    """Serve among all hostile plugins, which set these variables to so many seconds."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
    plugins = install_hostile(install, storage=DURABLE)
    with ExitStack() as stack:

        def serve(**seconds):
            for name, value in seconds.items():
                monkeypatch.setenv(name, str(value))
            served = Served(
                tmp_path,
                plugins=plugins,
                http_server=request.param,
                broker={"storage": "storage"},
                shutdown_seconds=1,
            )
            stack.callback(lambda: served.process.kill() or served.process.wait())
            return served

        yield serve


class Client:
    """Counts what was acknowledged of others."""

    def __init__(self, http):
        self.http = http
        self.acknowledged = 0

    def publish(self, queue, **options):
        path = f"/queues/{queue}/messages"
        answer = self.http.post(path, json={"content": "x", "headers": {"a": "b"}}, **options)
        return answer.status_code

    def ask_others(self):
        """Check that who has nothing to do with it is served as before."""
        assert self.publish("sound") == 201
        self.acknowledged += 1
        lease = self.http.post("/queues/sound/messages/lease", json={})
        receipt = lease.json()["messages"][0]["receipt"]
        assert self.http.post("/messages/settle", json={"release": [receipt]}).status_code == 200


def make_queues(client):
    for role in ("interceptor", "limiter", "authorizer", "storage", "observer", "listener"):
        for how in (*RAISED, *RETURNED, "hangs", "blocks", "is-slow"):
            body = {"name": f"{role}.{how}"}
            assert client.http.post("/queues", json=body).status_code == 201
    assert client.http.post("/queues", json={"name": "sound"}).status_code == 201


def do_the_worst(client):
    """Have every plugin break in every way, with others in between."""
    for how in (*RAISED, *RETURNED):
        refused = {
            "interceptor": client.publish(f"interceptor.{how}"),
            "limiter": client.publish(f"limiter.{how}"),
            "authorizer": client.publish(f"authorizer.{how}"),
            "storage": client.publish(f"storage.{how}"),
            "route": client.http.post(f"/route/{how}").status_code,
            "hot": client.http.post(f"/hot/{how}").status_code,
        }
        assert refused == {
            "interceptor": 500,
            "limiter": 503,
            "authorizer": 503,
            "storage": 500,
            "route": 500,
            "hot": 500,
        }, how
        assert client.publish(f"observer.{how}") == client.publish(f"listener.{how}") == 201
        client.ask_others()
    for how in RAISED:
        token = {"authorization": f"Bearer authenticator.{how}"}
        assert client.publish("sound", headers=token) == 503
        assert client.http.post(f"/view/{how}").status_code == 500
        assert client.http.get(f"/stream/{how}").text == "first\nfailed"
        with pytest.raises(httpx.HTTPError):
            client.http.get(f"/page/{how}")
        client.ask_others()


def take_long(client):
    """Have each plugin that may take long take longer."""
    for role in ("interceptor", "limiter"):
        assert client.publish(f"{role}.hangs") == 503
    token = {"authorization": "Bearer authenticator.hangs"}
    assert client.publish("sound", headers=token) == 503
    assert client.publish("listener.is-slow") == 201
    assert client.publish("observer.blocks") == 201
    assert client.http.post("/background/dies").status_code == 200
    client.ask_others()


def hang(served, path, stack):
    """Send a request that is not answered."""
    connection = socket.create_connection(("127.0.0.1", served.port))
    stack.enter_context(connection)
    begin(connection, path, b'{"content": "x"}')
    connection.sendall(b'{"content": "x"}')


HUNG = ["/queues/storage.hangs/messages", "/route/hangs", "/hot/hangs"]


def test_plugins_that_do_their_worst_harm_nobody_else(serve):
    served = serve(HOSTILE_PATIENCE_SECONDS=0.1)
    with ExitStack() as stack:
        http = stack.enter_context(httpx.Client(base_url=served.url, timeout=60))
        client = Client(http)
        make_queues(client)
        client.ask_others()
        do_the_worst(client)
        take_long(client)
        for path in HUNG:
            hang(served, path, stack)
        client.ask_others()
        code = served.end()
    log = served.log()
    served.start()
    counts = httpx.get(f"{served.url}/queues/sound").json()["counts"]
    again = served.end()

    assert (code, again) == (0, 0)
    assert [line for line in TOLD if line not in log] == []
    assert counts["pending"] == client.acknowledged


def test_a_plugin_that_cannot_be_cancelled_keeps_no_broker_from_its_end(serve):
    served = serve(HOSTILE_END_SECONDS=1)
    with ExitStack() as stack:
        hang(served, "/route/clings", stack)
        assert httpx.get(f"{served.url}/healthz").status_code == 200
        assert served.end() == 1
    assert "HostileTransport.answer" in served.log().splitlines()[-1]
