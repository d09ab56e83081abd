"""A served broker and what started it: systemd with Type=notify, for example."""

import socket

import httpx
import pytest
from served import HTTP_SERVERS, Served

STUCK = """
from broker import health, hookimpl

health.STUCK_MS = -1


@hookimpl
def provide_observer(plugin):
    return None
"""


@pytest.fixture
def supervisor(tmp_path, monkeypatch):
    """A socket where a served broker tells how it is."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(60)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield listener


@pytest.fixture(params=HTTP_SERVERS)
def serve(request, tmp_path):
    made = []

    def serve(**options):
        made.append(Served(tmp_path, http_server=request.param, **options))
        return made[-1]

    yield serve
    for served in made:
        served.process.kill()
        served.process.wait()


def test_it_hears_when_the_broker_serves_and_when_it_stops(supervisor, serve):
    served = serve()

    assert supervisor.recv(100) == b"READY=1"
    assert httpx.get(f"{served.url}/healthz", trust_env=False).status_code == 200
    assert served.end() == 0
    assert supervisor.recv(100) == b"STOPPING=1"


def test_it_hears_again_and_again_that_the_broker_goes_round(supervisor, serve, monkeypatch):
    monkeypatch.setenv("WATCHDOG_USEC", "20000")
    served = serve()

    assert [supervisor.recv(100) for _ in range(4)] == [b"READY=1", *[b"WATCHDOG=1"] * 3]
    assert served.end() == 0


def test_it_hears_nothing_of_a_broker_that_only_a_restart_helps(
    supervisor, serve, site, monkeypatch
):
    monkeypatch.setenv("WATCHDOG_USEC", "20000")
    monkeypatch.setenv("PYTHONPATH", str(site.directory))
    site.install("stuck", STUCK)
    served = serve(plugins=["stuck"])

    assert httpx.get(f"{served.url}/healthz", trust_env=False).status_code == 503
    assert served.end() == 0
    assert [supervisor.recv(100) for _ in range(2)] == [b"READY=1", b"STOPPING=1"]


def test_a_broker_whose_supervisor_is_gone_serves_all_the_same(tmp_path, serve, monkeypatch):
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    served = serve()

    assert httpx.get(f"{served.url}/healthz", trust_env=False).status_code == 200
    assert served.end() == 0
    assert "cannot tell READY=1: No such file or directory" in served.log()
