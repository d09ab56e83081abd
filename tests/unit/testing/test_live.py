"""`broker serve` as a process, in the hands of a test."""

import os
import re
import subprocess
import sys

import httpx
import pytest
from served import HTTP_SERVERS

FAILING = """
import httpx

def test_it(live_server):
    server = live_server(config={"server": {"log_level": "info"}})
    httpx.put(f"{server.url}/queues/tea", json={})
    assert False, f"pid {server.process.pid}."
"""


@pytest.mark.parametrize("http_server", HTTP_SERVERS)
def test_both_servers_serve(live_server, http_server):
    server = live_server(http_server=http_server)

    assert httpx.get(f"{server.url}/healthz").status_code == 200
    assert server.url == f"http://127.0.0.1:{server.port}"


def test_it_keeps_its_data_and_its_port_when_it_starts_again(live_server):
    server = live_server(["storage_sqlite"])
    httpx.put(f"{server.url}/queues/q", json={}).raise_for_status()
    url = server.url

    server.stop()
    server.start()

    assert server.url == url
    assert httpx.get(f"{url}/queues/q").status_code == 200


def test_several_at_once_know_nothing_of_each_other(live_server):
    one, other = live_server(["storage_sqlite"]), live_server(["storage_sqlite"])
    httpx.put(f"{one.url}/queues/q", json={}).raise_for_status()

    assert httpx.get(f"{other.url}/queues/q").status_code == 404


def test_the_config_is_that_of_a_file(live_server):
    server = live_server(config={"broker": {"anonymous": False}, "server": {"log_level": "debug"}})

    assert httpx.get(f"{server.url}/queues").status_code == 401


def test_a_server_that_was_ended_can_be_ended_again(live_server):
    server = live_server()
    server.stop()
    server.stop()

    assert server.process.returncode == 0


def test_variables_of_the_machine_have_no_say(live_server, monkeypatch):
    monkeypatch.setenv("BROKER__BROKER__ANONYMOUS", "false")

    assert httpx.get(f"{live_server().url}/queues").status_code == 200


def test_a_test_that_fails_shows_the_log_and_leaves_no_process(tmp_path):
    (tmp_path / "test_failing.py").write_text(FAILING)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "test_failing.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout
    shown = done.stdout.partition("Captured stdout teardown")[2]
    assert re.search(r"queue\.created .* queue=tea", shown)
    [pid] = set(re.findall(r"pid (\d+)\.", done.stdout))
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)
