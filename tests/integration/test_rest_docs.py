"""The examples of streaming in docs/rest.md are run, and do what the page says."""

import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from pages import blocks, examples, matches
from served import Served

PAGE = (Path(__file__).parents[2] / "docs" / "rest.md").read_text()
PART = PAGE.partition("### Streaming\n")[2].partition("\n### ")[0]


@pytest.fixture
def served(tmp_path):
    served = Served(tmp_path)
    with httpx.Client(base_url=served.url) as client:
        client.post("/queues", json={"name": "hello"}).raise_for_status()
        client.post("/queues/hello/messages", json={"content": "hello"}).raise_for_status()
    yield served
    served.end()


def at(served, text):
    assert "localhost:8777" in text
    return text.replace("localhost:8777", f"127.0.0.1:{served.port}")


@pytest.mark.skipif(shutil.which("curl") is None, reason="the page uses curl")
def test_what_the_page_shows_is_what_comes(served):
    [(command, shown)] = examples(PART)

    process = subprocess.Popen(
        ["sh", "-c", f"exec {at(served, command)}"], stdout=subprocess.PIPE, text=True
    )
    printed = process.stdout.readline() + process.stdout.readline()
    process.terminate()
    process.communicate()

    assert matches(shown, printed), printed


def test_the_consumer_takes_what_comes_until_the_end(tmp_path, served):
    [script] = blocks(PART, "python")

    consumer = subprocess.Popen(
        [sys.executable, "-c", at(served, script)], stdout=subprocess.PIPE, text=True
    )
    assert consumer.stdout.readline() == "hello\n"
    with httpx.Client(base_url=served.url) as client:
        for content in ("again", "and again"):
            message = {"content": content}
            client.post("/queues/hello/messages", json=message).raise_for_status()
            assert consumer.stdout.readline() == f"{content}\n"
        assert served.counts("hello")["processed"] >= 2
        client.delete("/queues/hello").raise_for_status()

    assert consumer.communicate() == ("the end: deleted\n", None)
    assert consumer.returncode == 0
