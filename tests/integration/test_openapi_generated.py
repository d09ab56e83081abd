"""Whatever the OpenAPI document says can be asked, and what it says cannot be: generated, sent to
a live broker, and its answers held against the document, by schemathesis with every check on.

`make requests` sends thousands, on each server.
"""

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import httpx
import pytest
from openapi_hooks import QUEUE
from served import BROKER, HTTP_SERVERS, Served

TESTS = Path(__file__).parents[1]
HAS_GRAPHQL = find_spec("broker_graphql") is not None
EXAMPLES = os.environ.get("BROKER_REQUESTS")
SERVERS = HTTP_SERVERS if EXAMPLES else HTTP_SERVERS[:1]
FEW = ["--phases", "examples,fuzzing", "--max-examples", "4"]

IMPATIENT = """
    from contextlib import asynccontextmanager

    from broker import hookimpl

    @asynccontextmanager
    async def impatient(broker):
        join, lease = broker.streams.join, broker.lease

        def join_and_end(stream, owner):
            join(stream, owner)
            stream.end("rotated")

        async def lease_at_once(identity, queue, **options):
            return await lease(identity, queue, **{**options, "wait": 0})

        broker.streams.join, broker.lease = join_and_end, lease_at_once
        yield

    @hookimpl
    def provide_lifespan(broker):
        return impatient(broker)
"""
"""A plugin that ends streams as soon as they begin, and lets nobody wait."""


@pytest.fixture
def served(request, tmp_path, site, install, monkeypatch):
    install("impatient", IMPATIENT)
    monkeypatch.setenv("PYTHONPATH", str(site.directory))
    plugins = ["impatient", "auth_jwt", "sse", *(["graphql"] if HAS_GRAPHQL else [])]
    served = Served(tmp_path, plugins=plugins, anonymous="false", http_server=request.param)
    yield served
    served.end()


def make_token(served):
    command = [*BROKER, "token", "create", "tester", "--grant", "admin", "--config", served.config]
    made = subprocess.run(command, env=served.environment(), capture_output=True, text=True)
    return made.stdout.strip()


@pytest.mark.timeout(0 if EXAMPLES else 300)
@pytest.mark.parametrize("served", SERVERS, indirect=True)
def test_whatever_the_document_says_is_so(served, tmp_path):
    authorization = f"Bearer {make_token(served)}"
    headers = {"authorization": authorization}
    made = httpx.post(f"{served.url}/queues", json={"name": QUEUE}, headers=headers, timeout=100)
    assert made.status_code == 201

    command = [sys.executable, "-m", "schemathesis.cli", "--config-file"]
    options = ["--max-examples", EXAMPLES] if EXAMPLES else FEW
    run = subprocess.run(
        [
            *(*command, TESTS / "schemathesis.toml", "run", f"{served.url}/openapi.json"),
            *("--header", f"Authorization: {authorization}", "--checks", "all"),
            *("--generation-deterministic", *options),
        ],
        env={**os.environ, "SCHEMATHESIS_HOOKS": "openapi_hooks", "PYTHONPATH": str(TESTS)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )

    assert run.returncode == 0, f"{run.stdout}{run.stderr}\n{served.log()[-20_000:]}"
    [tested] = re.findall(r"Tested: (\d+)", run.stdout)
    [described] = re.findall(r"Selected: \d+/(\d+)", run.stdout)
    assert tested == described
    print(re.search(r"\d+ generated.*", run.stdout)[0])
