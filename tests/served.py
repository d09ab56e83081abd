"""`broker serve` as a process of its own, on a real disk."""

import json
import os
import signal
import subprocess
import sys

from click.testing import CliRunner

from broker.cli import cli

BROKER = [sys.executable, "-m", "broker"]
CONFIG = """
[broker]
plugins = ["storage_sqlite"]
anonymous = {anonymous}
data_dir = "{directory}"

[plugins.storage_sqlite]
path = "{directory}/broker.db"
"""


class Served:
    """`broker serve` as a process, which can be killed and started again on the same port."""

    under = ()
    """The command, if any, that runs it and becomes it."""

    def __init__(self, directory, *, anonymous="true", port=0):
        self.directory = directory
        self.config = directory / "broker.toml"
        self.config.write_text(CONFIG.format(directory=directory, anonymous=anonymous))
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
        assert line, (self.directory / "log.txt").read_text()
        self.url = json.loads(line)["url"]
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

    def counts(self, queue):
        done = self.run("queue", "show", queue, "--json")
        return json.loads(done.stdout)["counts"]
