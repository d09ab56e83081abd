"""Servers, load generators and crowds: each is a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import httpx
import msgspec

from bench.load import Job, Result

_CONFIG = """
[broker]
plugins = {plugins}
disable = {disable}
anonymous = true
{settings}
"""


_SILENT = """
[log]
requests = false
files = 0
"""


class Server:
    """A running server."""

    def __init__(self, port: int, pid: int) -> None:
        self.port = port
        self._pid = pid

    def load(self, path: str, body: object, **options: Any) -> Result:
        """Post a JSON body to a path, as the options of a Job say."""
        job = Job(port=self.port, path=path, body=msgspec.json.encode(body), **options)
        done = run_module("bench.load", stdin=msgspec.json.encode(job))
        return msgspec.json.decode(done, type=Result)

    def make_queue(self, name: str) -> None:
        """Make a queue with the default policy."""
        answer = httpx.post(f"http://127.0.0.1:{self.port}/queues", json={"name": name})
        answer.raise_for_status()

    def cpu_seconds(self) -> float:
        """Return the processor's time that the process took since it was started."""
        return _cpu_seconds(self._pid)

    def resident_mib(self) -> float:
        """Return the memory that the process holds, in MiB."""
        return self._memory_mib("VmRSS")

    def peak_mib(self) -> float:
        """Return the most that it ever held."""
        return self._memory_mib("VmHWM")

    def _memory_mib(self, field: str) -> float:
        status = Path(f"/proc/{self._pid}/status").read_text()
        [line] = [line for line in status.splitlines() if line.startswith(f"{field}:")]
        return int(line.split()[1]) / 1024


@contextmanager
def broker(
    directory: Path,
    *,
    server: str = "hypercorn",
    plugins: Sequence[str] = ("storage_sqlite",),
    settings: str = "",
    tables: str = "",
    logs: bool = False,
) -> Iterator[Server]:
    """Run `broker serve` with SQLite in a directory, which may hold a database already, with more
    settings of its own and with the tables of its plugins; it is silent unless it `logs`, to files
    alone."""
    config = directory / "broker.toml"
    disable = [] if logs else ["log"]
    text = _CONFIG.format(plugins=list(plugins), disable=disable, settings=settings)
    config.write_text(text + tables + ("" if logs else _SILENT))
    config.chmod(0o600)  # there may be a secret in it
    options = ("--config", str(config), "--port", "0", "--server", server, "--json")
    log = directory / "stderr.log" if logs else None
    with _process("broker", "serve", *options, log=log) as running:
        yield running


def audible(directory: Path, **options: Any) -> AbstractContextManager[Server]:
    """Run `broker serve` in a new directory, with events for many subscribers at one address."""
    directory.mkdir()
    settings = "max_streams = 2000\nmax_streams_per_identity = 2000"
    return broker(directory, plugins=("storage_sqlite", "sse"), settings=settings, **options)


@contextmanager
def echo(*, server: str = "hypercorn") -> Iterator[Server]:
    """Run the bare app on the same server."""
    with _process("bench.echo", server) as running:
        yield running


@contextmanager
def broadcast(*, server: str = "hypercorn") -> Iterator[Server]:
    """Run the bare app that tells listeners on the same server."""
    with _process("bench.broadcast", server) as running:
        yield running


def run_module(*module: str, stdin: bytes = b"") -> bytes:
    """Run a Python module to its end; return what it printed."""
    command = [sys.executable, "-m", *module]
    return subprocess.run(command, input=stdin, stdout=subprocess.PIPE, check=True).stdout


class Crowd:
    """Many clients in a process beside the load generator."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._start, self._cpu = time.perf_counter(), _cpu_seconds(process.pid)

    def cpu(self) -> float:
        """Return how many cores it kept busy since it was at work."""
        taken = _cpu_seconds(self._process.pid) - self._cpu
        return taken / (time.perf_counter() - self._start)

    def result(self) -> bytes:
        """Return what it prints at its end, if it has one of its own; raises RuntimeError if it
        failed, and has said why."""
        assert self._process.stdout is not None, "it was asked for"
        printed = self._process.stdout.read()
        if self._process.wait():
            raise RuntimeError("it gave up")
        return printed


def _cpu_seconds(pid: int) -> float:
    # The name, which comes first, may hold spaces; user and system time are fields 14 and 15.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def beside(module: str, job: msgspec.Struct) -> Iterator[Crowd]:
    """Run a module that reads a job and prints a line once it is at work, while the block runs.

    Raises RuntimeError if it failed before the block ended; it has said why.
    """
    command = [sys.executable, "-m", module]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None, "it was asked for"
        assert process.stdout is not None, "it was asked for"
        try:
            process.stdin.write(msgspec.json.encode(job))
            process.stdin.close()
            process.stdout.readline()
            yield Crowd(process)
            if process.poll():
                raise RuntimeError(f"{module} gave up")
        finally:
            process.terminate()


@contextmanager
def _process(*module: str, log: Path | None = None) -> Iterator[Server]:
    """Run a module that prints, as its first line, where it listens; with a `log`, a file, for what
    it writes to stderr."""
    command = [sys.executable, "-m", *module]
    with (
        nullcontext() if log is None else log.open("wb") as stderr,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr) as process,
    ):
        assert process.stdout is not None, "it was asked for"
        try:
            started = msgspec.json.decode(process.stdout.readline())
            yield Server(httpx.URL(started["url"]).port or 0, process.pid)
        finally:
            process.terminate()
