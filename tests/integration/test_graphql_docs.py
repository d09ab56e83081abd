"""docs/graphql.md is followed from top to bottom: what it runs is run, what it asks is answered as
it shows."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from pages import examples, matches
from served import HTTP_SERVERS, Served

PAGE = (Path(__file__).parents[2] / "docs" / "graphql.md").read_text()
LOOK = "query ($name: String!) { queue(name: $name) { messageCount } }\n"
"""A document that is persisted, as the page prints it."""

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```\n", re.MULTILINE | re.DOTALL)


class Reader:
    """Does what the page says, as a client that has the token of its first example."""

    def __init__(self, served):
        self.served = served
        self.seen = []
        """What the last answer had where the page shows "…"."""

    def follow(self, blocks):
        while blocks:
            kind, text = blocks.pop(0)
            if kind == "console":
                self.run(f"```console\n{text}```\n")
            elif kind == "python":
                assert blocks.pop(0) == (
                    "text",
                    self.printed([sys.executable, "-c", self.at(text)]),
                )
            elif kind == "graphql":
                variables = self.fill(blocks.pop(0)) if "($" in text else {}
                self.ask(text, variables, blocks.pop(0))

    def run(self, block):
        for command, shown in examples(block):
            printed = self.printed(["sh", "-c", self.at(command)])
            assert matches(shown, printed), (command, printed)

    def printed(self, command):
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        own = {"PATH": path, "BROKER_CONFIG": str(self.served.config)}
        return subprocess.run(
            command,
            cwd=self.served.directory,
            env={**self.served.environment(), **own},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
        ).stdout

    def fill(self, block):
        kind, text = block
        assert kind == "json"
        seen = iter(self.seen)
        return {
            name: next(seen) if value == "…" else value for name, value in json.loads(text).items()
        }

    def ask(self, query, variables, block):
        kind, text = block
        assert kind == "json"
        name, _, value = (self.served.directory / "shop.token").read_text().strip().partition(": ")
        answer = httpx.post(
            f"{self.served.url}/graphql",
            json={"query": query, "variables": variables},
            headers={name: value},
        )
        self.seen = []
        assert self.hidden(json.loads(text), answer.json()) == json.loads(text), answer.text

    def hidden(self, shown, found):
        """Return what was found, with "…" where the page shows that."""
        if shown == "…":
            self.seen.append(found)
            return "…"
        if isinstance(shown, dict) and isinstance(found, dict):
            return {key: self.hidden(shown.get(key), value) for key, value in found.items()}
        if isinstance(shown, list) and isinstance(found, list) and len(shown) == len(found):
            return [self.hidden(*pair) for pair in zip(shown, found, strict=True)]
        return found

    def at(self, text):
        return text.replace("localhost:8777", f"127.0.0.1:{self.served.port}")


@pytest.mark.skipif(shutil.which("curl") is None, reason="the page uses curl")
@pytest.mark.parametrize("server", HTTP_SERVERS)
def test_the_page_is_true_from_top_to_bottom(tmp_path, server):
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents" / "look.graphql").write_text(LOOK)
    [tables] = [text for kind, text in BLOCK.findall(PAGE) if kind == "toml"]
    served = Served(
        tmp_path,
        plugins=["auth_jwt", "graphql"],
        tables=tables,
        anonymous="false",
        http_server=server,
    )
    try:
        blocks = BLOCK.findall(PAGE)
        assert len([kind for kind, _ in blocks if kind == "graphql"]) >= 2
        Reader(served).follow(blocks)
    finally:
        served.end()
