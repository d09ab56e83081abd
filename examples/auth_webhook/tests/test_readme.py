"""What README.md shows is what happens, with curl and openssl against a served broker."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

README = (Path(__file__).parents[1] / "README.md").read_text()
TRIED = README.partition("\n## Options")[0]


def blocks(kind):
    return re.findall(rf"^```{kind}\n(.*?)^```", TRIED, re.MULTILINE | re.DOTALL)


@pytest.fixture
def run(live_server, monkeypatch):
    """Run commands of the page against a broker with its config and its secrets."""
    [config] = blocks("toml")
    for name, command in re.findall(r"(\w+_SECRET)=(\S*\$\(.*?\))", blocks("sh")[0]):
        secret = subprocess.check_output(["sh", "-euc", f"printf %s {command}"], text=True)
        monkeypatch.setenv(name, secret)
    tables = tomllib.loads(config)
    server = live_server(tables["broker"].pop("plugins"), config=tables)

    def run(commands):
        text = commands.replace("localhost:8777", f"127.0.0.1:{server.port}")
        done = subprocess.run(["sh", "-euc", text], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.mark.skipif(
    None in (shutil.which("curl"), shutil.which("openssl")), reason="the page uses curl and openssl"
)
def test_the_webhooks_of_the_page_are_taken(run):
    _, *webhooks = blocks("sh")

    assert [run(commands) + "\n" for commands in webhooks] == blocks("json")
