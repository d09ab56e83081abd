"""The examples of docs/events.md for the command line and for Python are run; those for browsers,
in test_events_browser.py."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from backstage import BACKSTAGE
from pages import blocks, examples, matches
from served import Served

DOCS = (Path(__file__).parents[2] / "docs" / "events.md").read_text()


class Enough(Exception):
    """Raised to end what would go on for ever."""


@pytest.fixture
def served(tmp_path, site, install, monkeypatch):
    install("backstage", BACKSTAGE)
    monkeypatch.setenv("PYTHONPATH", str(site.directory))
    served = Served(tmp_path, plugins=["backstage", "auth_jwt", "sse"], anonymous="false")
    yield served
    served.end()


@pytest.fixture
def client(served):
    """A program that may do everything, with a queue `orders-eu`."""
    [password] = re.findall(r"password (\S+)", served.screen["notices"][0])
    with httpx.Client(base_url=served.url, timeout=100) as client:
        answer = client.post("/login", data={"username": "admin", "password": password})
        client.headers["authorization"] = f"Bearer {answer.json()['access_token']}"
        client.post("/queues", json={"name": "orders-eu"}).raise_for_status()
        yield client


def publish(client):
    client.post("/queues/orders-eu/messages", json={"content": "x"}).raise_for_status()


@pytest.mark.skipif(shutil.which("curl") is None, reason="the page uses curl")
def test_the_examples_for_the_command_line_do_what_the_page_shows(served, client):
    publish(client)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    found = list(examples(DOCS))
    assert len(found) >= 2
    for command, shown in found:
        done = subprocess.run(
            ["sh", "-c", command.replace("localhost:8777", f"127.0.0.1:{served.port}")],
            cwd=served.directory,
            env={**served.environment(), "PATH": path, "BROKER_CONFIG": str(served.config)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
        )

        assert done.returncode == 0, (command, done.stdout)
        assert matches(shown, done.stdout), (command, done.stdout)


def test_the_example_for_python_goes_on_where_it_was(served, client, monkeypatch):
    [example] = blocks(DOCS, "python")
    namespace = {}
    exec(example, namespace)  # it is our own page
    told = []

    def show(name, data):
        told.append((name, data.get("message_id")))
        if told == [("open", None)]:
            publish(client)
        elif told[-1] == ("message.published", 1):
            client.post("/rotate").raise_for_status()
        elif told[-1] == ("message.published", 3):
            raise Enough

    def sleep(seconds):
        assert seconds == 3
        publish(client)
        publish(client)

    monkeypatch.setattr(namespace["time"], "sleep", sleep)

    token = client.headers["authorization"].partition(" ")[2]
    with pytest.raises(Enough):
        namespace["watch"](served.url, token, show)

    assert told == [
        ("open", None),
        ("message.published", 1),
        ("end", None),
        ("open", None),
        ("message.published", 2),
        ("message.published", 3),
    ]
