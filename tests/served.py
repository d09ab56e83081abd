"""`broker serve` as a process of its own, on a real disk."""

import json
import os
import signal
import subprocess
import sys
from importlib.util import find_spec

import pytest
import tomli_w
from click.testing import CliRunner

from broker.cli import cli

BROKER = [sys.executable, "-m", "broker"]
HTTP_SERVERS = [
    "hypercorn",
    pytest.param(
        "granian",
        marks=pytest.mark.skipif(find_spec("granian") is None, reason="granian is not installed"),
    ),
]
CONFIG = """
{server}
[broker]
plugins = {plugins}
anonymous = {anonymous}
data_dir = "{directory}"
{broker}
[plugins.storage_sqlite]
path = "{directory}/broker.db"
{tables}
"""


class Served:
    """`broker serve` as a process, which can be killed and started again on the same port."""

    under = ()
    """The command, if any, that runs it and becomes it."""

    def __init__(
        self,
        directory,
        *,
        plugins=(),
        tables="",
        anonymous="true",
        port=0,
        broker=None,
        log=None,
        **server,
    ):
        self.directory = directory
        self.config = directory / "broker.toml"
        if log is None:  # most tests look for a line of their own, as people read it
            log = {"format": "console", "requests": False}
        settings = tomli_w.dumps({"server": server, "log": log})
        self.config.write_text(
            CONFIG.format(
                directory=directory,
                anonymous=anonymous,
                server=settings,
                broker=tomli_w.dumps(broker or {}),
                plugins=["storage_sqlite", *plugins],
                tables=tables,
            )
        )
        self.port, self.url = port, ""
        self.start()

    def start(self):
        with open(self.directory / "log.txt", "a") as log:
            command = [*self.under, *BROKER, "serve", "--config", self.config]
            self.process = subprocess.Popen(
                [*command, "--port", str(self.port), "--json"],
                env=self.environment(),
                stdout=subprocess.PIPE,
                stderr=log,
            )
        line = self.process.stdout.readline()
        assert line, self.log()
        self.screen = json.loads(line)
        self.url = self.screen["url"]
        self.port = int(self.url.rpartition(":")[2])

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        self.process.stdout.close()
        return self.process.wait()

    def environment(self):
        environment = {key: value for key, value in os.environ.items() if "BROKER" not in key}
        return {**environment, "BROKER_URL": self.url}

    def run(self, *args, input=b""):
        """Run a command in this process."""
        environment = {"BROKER_URL": self.url, "BROKER_TOKEN": None}
        return CliRunner().invoke(cli, args, input=input, env=environment, prog_name="broker")

    def begin(self, *args, **options):
        """Run a command as a process of its own, with pipes."""
        pipes = {name: subprocess.PIPE for name in ("stdin", "stdout", "stderr")}
        return subprocess.Popen(
            [*BROKER, *args], env=self.environment(), cwd=self.directory, **{**pipes, **options}
        )

    def log(self):
        """All that it logged, once it has ended; what came last may be missing before."""
        return (self.directory / "log.txt").read_text()

    def counts(self, queue):
        done = self.run("queue", "show", queue, "--json")
        return json.loads(done.stdout)["counts"]


def begin(connection, path, body):
    """Send a request but for its body; return once the server is at work on it."""
    connection.sendall(
        b"POST %s HTTP/1.1\r\nhost: b\r\ncontent-type: application/json\r\n"
        b"expect: 100-continue\r\ncontent-length: %d\r\n\r\n" % (path.encode(), len(body))
    )
    assert connection.recv(1_000).startswith(b"HTTP/1.1 100 ")


def read_all(connection):
    parts = []
    while part := connection.recv(65_536):
        parts.append(part)
    return b"".join(parts)
