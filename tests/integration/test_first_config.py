"""What `broker config init` writes starts, and limits what it says."""

import json
import re
import signal
import subprocess
import tomllib

import httpx
import pytest
from served import BROKER


@pytest.fixture
def start(tmp_path, clean_environment):
    """Start a broker with the config that `init` writes; return a client that is logged in."""
    running = []

    def start(*options):
        subprocess.run([*BROKER, "config", "init", *options], cwd=tmp_path, check=True)
        process = subprocess.Popen(
            [*BROKER, "serve", "--port", "0", "--json"], cwd=tmp_path, stdout=subprocess.PIPE
        )
        screen = json.loads(process.stdout.readline())
        client = httpx.Client(base_url=screen["url"], timeout=60)
        running.extend([process, client])
        password = re.search(r"with the password (\S+)", " ".join(screen["notices"]))[1]
        answer = client.post("/login", data={"username": "admin", "password": password})
        client.headers["authorization"] = f"Bearer {answer.json()['access_token']}"
        client.post("/queues", json={"name": "q"})
        return client

    yield start
    process, client = running
    client.close()
    process.send_signal(signal.SIGTERM)
    process.communicate()


def test_the_first_config_limits_nothing_but_logins(start):
    client = start()

    answers = [client.get("/queues/q") for _ in range(20)]

    assert {answer.status_code for answer in answers} == {200}
    assert not any("ratelimit" in answer.headers for answer in answers)
    login = client.post("/login", data={"username": "admin", "password": "wrong"})
    assert login.headers["ratelimit-policy"] == '"login";q=10;w=60'


def test_the_example_limits_everything_to_what_it_says(start):
    client = start("--example")  # which spent 1 of general

    answers = [client.get("/queues/q") for _ in range(250)]

    statuses = [answer.status_code for answer in answers]
    assert (set(statuses[:199]), statuses[-1]) == ({200}, 429)
    assert answers[0].headers["ratelimit-policy"] == '"general";q=200;w=60'
    published = client.post("/queues/q/messages", json={"content": "x"})
    assert published.status_code == 201
    assert published.headers["ratelimit-policy"] == '"publish";q=200;w=1'
    leased = client.post("/queues/q/messages/lease", json={})
    assert leased.headers["ratelimit-policy"] == '"consume";q=200;w=1'
    settled = client.post(
        "/messages/settle", json={"ack": [leased.json()["messages"][0]["receipt"]]}
    )
    assert settled.status_code == 200
    assert settled.headers["ratelimit-policy"] == '"settle";q=200;w=1'


def test_what_is_shown_of_the_example_is_a_config_that_says_the_same(tmp_path, clean_environment):
    written, shown = tmp_path / "broker.toml", tmp_path / "shown.toml"
    subprocess.run([*BROKER, "config", "init", "--example"], cwd=tmp_path, check=True)

    def show(config):
        return subprocess.check_output(
            [*BROKER, "config", "show", "--config", config], cwd=tmp_path
        )

    shown.write_bytes(show(written))
    assert tomllib.loads(show(shown).decode()) == tomllib.loads(shown.read_text())
