"""The log of `broker serve`: on stderr, in files, and by REST."""

import json
import os
import pty
import re
import signal
import stat
import subprocess

import httpx
import pytest
from served import BROKER, HTTP_SERVERS, Served


@pytest.fixture(params=HTTP_SERVERS)
def start(request, tmp_path):
    started = []

    def start(name="one", **options):
        (tmp_path / name).mkdir(exist_ok=True)
        served = Served(tmp_path / name, http_server=request.param, **options)
        started.append(served)
        return served

    yield start
    for served in started:
        if served.process.poll() is None:
            served.end()


def entries(served):
    return [json.loads(line) for line in served.log().splitlines()]


def files(directory):
    return sorted(directory.glob("broker_log_*.json"))


def test_stderr_and_the_files_tell_the_same_and_nothing_is_lost_at_the_end(start):
    served = start(log={"requests": True})
    with httpx.Client(base_url=served.url) as client:
        for number in range(100):
            answer = client.get("/queues/gone", headers={"x-request-id": f"r-{number}"})
            assert answer.status_code == 404
    assert served.end() == 0

    told = [one for one in entries(served) if one["logger"] == "broker.access"]
    assert [one["request_id"] for one in told] == [f"r-{number}" for number in range(100)]
    assert {(one["status"], one["queue"], one["identity"]) for one in told} == {
        (404, "gone", "anonymous")
    }
    [file] = files(served.directory)
    assert file.read_text() == served.log()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_the_files_are_shown_and_stay_few_and_small(start):
    served = start(log={"files": 3, "file_bytes": 65_536})
    with httpx.Client(base_url=served.url) as client:
        for _ in range(600):
            client.get("/")
        # The lines for these come some 50 ms after the answers: until there are all files.
        while len(names := client.get("/logs").json()["log_files"]) < 3:
            pass
        newest = client.get(f"/logs/{names[0]}?tail=1").json()
        whole = client.get(f"/logs/{names[1]}?tail=10000").json()
    served.end()

    assert names == sorted(names, reverse=True)
    assert len(newest) == 1
    assert {one["level"] for one in whole} == {"info"}
    kept = files(served.directory)
    assert len(kept) == 3
    assert all(file.stat().st_size <= 65_536 for file in kept)
    for file in kept:
        assert all(json.loads(line) for line in file.read_text().splitlines())


def test_requests_can_be_left_out(start):
    served = start(log={"requests": False})
    httpx.get(f"{served.url}/healthz")
    served.run("queue", "create", "q")
    served.end()

    assert [one["message"] for one in entries(served)] == ["queue.created"]


def test_no_files_are_made_if_there_shall_be_none(start):
    served = start(log={"files": 0, "requests": True})
    httpx.get(f"{served.url}/")
    served.end()

    assert files(served.directory) == []
    assert [one["route"] for one in entries(served)] == ["/"]


def test_a_second_broker_in_a_data_directory_writes_no_files_there(start, tmp_path):
    served = start(log={"requests": True})
    httpx.get(f"{served.url}/", headers={"x-request-id": "first"})
    while not files(served.directory):
        pass
    second = subprocess.Popen(
        [*BROKER, "serve", "--config", served.config, "--port", "0", "--json"],
        env={
            **served.environment(),
            "BROKER__PLUGINS__STORAGE_SQLITE__PATH": str(tmp_path / "another.db"),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    url = json.loads(second.stdout.readline())["url"]
    httpx.get(f"{url}/", headers={"x-request-id": "second"})
    second.send_signal(signal.SIGTERM)
    _, told = second.communicate(timeout=30)
    served.end()

    request, warning = map(json.loads, told.splitlines())
    assert request["request_id"] == "second"
    assert warning["message"] == (
        f"{served.directory}/broker_log_*.json takes no lines: [Errno 11] another broker writes its "
        "log there; they are dropped"
    )
    [file] = files(served.directory)
    assert json.loads(file.read_text())["request_id"] == "first"


@pytest.mark.parametrize("no_color", ["", "1"])
def test_what_a_terminal_shows_is_for_people(start, no_color):
    served = start(log={})
    served.end()
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*BROKER, "serve", "--config", served.config, "--port", str(served.port)],
        env={**served.environment(), "NO_COLOR": no_color, "TERM": "xterm"},
        stdout=subprocess.PIPE,
        stderr=theirs,
    )
    os.close(theirs)
    while not (line := process.stdout.readline()).startswith(b"Ctrl-C"):
        assert line
    url = served.url
    httpx.get(f"{url}/", headers={"x-request-id": "r-1"})
    process.send_signal(signal.SIGTERM)
    process.wait()
    process.stdout.close()
    shown = os.read(ours, 65_536).decode()
    os.close(ours)

    assert ("\x1b[" in shown) == (not no_color)
    shown = re.sub(r"\x1b\[[0-9;]+m", "", shown)
    assert "[info     ] GET / 200 in " in shown
    assert shown.rstrip().endswith(" ms request_id=r-1")


def test_a_pipe_that_nobody_reads_makes_nobody_wait(start):
    served = start(log={"requests": True})
    served.end()
    process = subprocess.Popen(
        [*BROKER, "serve", "--config", served.config, "--port", str(served.port), "--json"],
        env=served.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout.readline()
    with httpx.Client(base_url=served.url) as client:
        answers = {client.get("/").status_code for _ in range(500)}  # 64 KiB fit in
    process.send_signal(signal.SIGTERM)

    assert answers == {200}
    assert process.wait(30) == 0
    process.stdout.close()
    process.stderr.close()
    [file] = files(served.directory)
    told = [json.loads(line) for line in file.read_text().splitlines()]
    assert sum(one.get("route") == "/" for one in told) == 500
