"""The examples of docs/operations.md are run, and what they print is what the page shows."""

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from pages import examples, matches
from served import Served

PAGE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
RUNNING, STOPPED = (
    list(examples(part))
    for part in PAGE.partition("### While the broker runs")[2].split("### While it is stopped")
)


@pytest.fixture
def served(tmp_path):
    """A broker with a processed, a failed and a pending message, in two queues."""
    served = Served(tmp_path)
    assert served.run("publish", "mail", "one", "--create").exit_code == 0
    assert served.run("consume", "mail", "--limit", "1").exit_code == 0
    assert served.run("publish", "mail", "two").exit_code == 0
    assert served.run("publish", "orders", "three", "--create").exit_code == 0
    with httpx.Client(base_url=served.url) as client:
        [leased] = client.post("/queues/orders/messages/lease").json()["messages"]
        assert client.post(f"/messages/{leased['id']}/nack").is_success
    yield served
    served.end()


def run(command, served):
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["sh", "-c", command],
        cwd=served.directory,
        env={**served.environment(), "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def demonstrate(found, served):
    for command, shown in found:
        done = run(command, served)

        assert done.returncode == 0, (command, done.stdout)
        assert matches(shown, done.stdout), (command, done.stdout)


def test_the_examples_do_what_the_page_shows(served):
    assert (len(RUNNING), len(STOPPED)) == (7, 5)
    demonstrate(RUNNING, served)
    with httpx.Client(base_url=served.url) as client:
        assert client.get("/queues/orders").json()["message_count"] == 0

    served.end()
    demonstrate(STOPPED, served)

    served.start()
    assert served.run("consume", "mail").stdout == "two\n"
