"""`broker serve` as processes of their own, on real ports and disks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import tomli_w

END_SECONDS = 30
"""How long a server may take to end before it is killed."""


class LiveServer:
    """A `broker serve`, which takes requests at `url` between `start` and `stop`."""

    def __init__(self, directory: Path, config: Path) -> None:
        self.directory = directory
        """Where its config, its log and its data are."""
        self.url = ""
        """Where it listens, `http://127.0.0.1:43210` for example."""
        self.port = 0
        """That which the system chose at the first start, and which it keeps."""
        self._config = config
        self._log = directory / "log.txt"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The process, to be killed or measured."""
        assert self._process is not None, "it was not started"
        return self._process

    def start(self) -> None:
        """Start it, and return when it takes requests; again on the same data after `stop`."""
        command = [sys.executable, "-m", "broker", "serve", "--config", str(self._config)]
        with self._log.open("a") as log:
            self._process = subprocess.Popen(  # noqa: S603  # this very Python
                [*command, "--port", str(self.port), "--json"],
                stdout=subprocess.PIPE,
                stderr=log,
                env={name: value for name, value in os.environ.items() if "BROKER" not in name},
            )
        assert self._process.stdout is not None, "it was asked for"
        line = self._process.stdout.readline()
        if not line:
            self.stop()
            raise AssertionError(f"the broker did not start:\n{self.log()}")
        self.url = json.loads(line)["url"]
        self.port = int(self.url.rpartition(":")[2])

    def log(self) -> str:
        """Return what it wrote to its log so far."""
        return self._log.read_text()

    def stop(self) -> None:
        """End it as an operator would, and wait until it is over; to do so twice does no harm."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


class LiveServers:
    """Starts servers, each in a directory of its own, and ends them all."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._started: list[LiveServer] = []

    def __call__(
        self,
        plugins: Sequence[str] = (),
        *,
        config: Mapping[str, Any] | None = None,
        http_server: Literal["hypercorn", "granian"] | None = None,
    ) -> LiveServer:
        """Start `broker serve` with installed plugins on a free port of 127.0.0.1.

        `config` says what `broker.toml` could, as tables; without a word in it, everybody may do
        everything. `http_server` goes before `server.http_server`. Returns when it takes requests;
        fails with its log if it ends before.
        """
        directory = self._directory / f"live-{len(self._started)}"
        directory.mkdir()
        tables = dict(config or {})
        broker = {"anonymous": True, "data_dir": str(directory), **tables.get("broker", {})}
        tables["broker"] = {"plugins": list(plugins), **broker}
        tables["log"] = {"format": "console", **tables.get("log", {})}  # failing tests show it
        if http_server is not None:
            tables["server"] = {**tables.get("server", {}), "http_server": http_server}
        path = directory / "broker.toml"
        path.write_text(tomli_w.dumps(tables))
        server = LiveServer(directory, path)
        self._started.append(server)  # first: it has to end, too, if it is interrupted as it starts
        server.start()
        return server

    def stop(self) -> None:
        """End all of them."""
        for server in self._started:
            server.stop()

    def logs(self) -> str:
        """Return what all of them wrote, each under its address."""
        return "\n".join(f"{server.url}\n{server.log()}" for server in self._started)
