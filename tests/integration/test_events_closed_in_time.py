"""Streams over real servers end in the seconds that are promised: J9 and J10 of docs/security.md."""

import re
import time
from contextlib import contextmanager

import httpx
import pytest
from httpx_sse import connect_sse
from served import HTTP_SERVERS, Served

WITHIN = 5
PASSWORD = "correct horse battery"
ADMIN = "admin"
ROUTES = ["/events", "/stream/q"]


class Watched:
    """A broker, a user rita who may read there, and her streams."""

    def __init__(self, served, client):
        self.served = served
        self._client = client
        [password] = re.findall(r"password (\S+)", served.screen["notices"][0])
        admin = self._log_in(ADMIN, password)
        self.ask("POST", "/queues", 201, admin, json={"name": "q"})
        self.run("user", "add", "rita", "--grant", "viewer", input=f"{PASSWORD}\n".encode())
        self.token = self._log_in("rita", PASSWORD)
        self.expires_at = time.monotonic() + 10

    def _log_in(self, name, password):
        form = {"username": name, "password": password}
        return self.ask("POST", "/login", 200, data=form).json()["access_token"]

    def ask(self, method, path, status, token=None, **request):
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        answer = self._client.request(method, path, headers=headers, **request)
        assert answer.status_code == status, answer.text
        return answer

    def run(self, *command, input=b""):
        """As another process, which the broker hears nothing of."""
        process = self.served.begin(*command, "--config", str(self.served.config))
        _, errors = process.communicate(input)
        assert process.returncode == 0, errors

    @contextmanager
    def watching(self):
        """The events of each route, from the first on."""
        headers = {"authorization": f"Bearer {self.token}"}
        with (
            connect_sse(self._client, "GET", ROUTES[0], headers=headers) as one,
            connect_sse(self._client, "GET", ROUTES[1], headers=headers) as other,
        ):
            streams = [one.iter_sse(), other.iter_sse()]
            for stream in streams:
                next(event for event in stream if event.data)
            yield streams


@pytest.fixture
def watched(request, tmp_path):
    http_server, tables = request.param
    served = Served(
        tmp_path,
        plugins=["auth_jwt", "sse"],
        anonymous="false",
        http_server=http_server,
        tables=tables,
    )
    with httpx.Client(base_url=served.url, timeout=100) as client:
        yield Watched(served, client)
    served.end()


def log_out(watched):
    watched.ask("POST", "/logout", 204, watched.token)


def disable(watched):
    watched.run("user", "disable", "rita")


def end_of(stream):
    """The last event of a stream that ends, and when it did."""
    [last] = [event for event in stream if event.data]
    return last.event, last.json(), time.monotonic()


EXPIRED = ("auth-expired", {"reason": "auth-expired"})


@pytest.mark.parametrize("end", [log_out, disable])
@pytest.mark.parametrize(
    "watched",
    [
        pytest.param((getattr(s, "values", [s])[0], ""), marks=getattr(s, "marks", ()))
        for s in HTTP_SERVERS
    ],
    indirect=True,
)
def test_j9_streams_end_within_5_seconds_after_the_login_did(watched, end):
    with watched.watching() as streams:
        end(watched)
        ended_at = time.monotonic()
        ends = [end_of(stream) for stream in streams]

    assert [one[:2] for one in ends] == [EXPIRED] * 2
    assert max(at for *_, at in ends) - ended_at < WITHIN
    for route in ROUTES:
        watched.ask("GET", route, 401, watched.token)


@pytest.mark.parametrize(
    "watched", [("hypercorn", "[plugins.auth_jwt]\naccess_seconds = 10\n")], indirect=True
)
def test_j10_streams_end_within_5_seconds_after_the_token_is_over(watched):
    with watched.watching() as streams:
        ends = [end_of(stream) for stream in streams]

    assert [one[:2] for one in ends] == [EXPIRED] * 2
    assert max(at for *_, at in ends) - watched.expires_at < WITHIN
    for route in ROUTES:
        watched.ask("GET", route, 401, watched.token)
