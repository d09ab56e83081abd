"""`broker serve` as its operator meets it: the screen, the refusals, the signals."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack

import httpx
import pytest
from served import BROKER, HTTP_SERVERS, Served, begin, read_all

CONFIG = """
[server]
port = 0
[broker]
anonymous = true
plugins = ["storage_sqlite"]
[plugins.storage_sqlite]
path = "broker.db"
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "broker.toml").write_text(CONFIG)
    return tmp_path


@pytest.fixture(params=HTTP_SERVERS)
def http_server(request):
    """Each test with this runs once for every server there is."""
    return request.param


def serve(folder, *options):
    """Start a broker that is expected not to start; return its exit code and what it said."""
    done = subprocess.run(
        [*BROKER, "serve", *options], cwd=folder, capture_output=True, text=True, timeout=60
    )
    return done.returncode, done.stderr, done.stdout


def test_the_screen_tells_a_newcomer_all_that_is_needed(folder, http_server):
    process = subprocess.Popen(
        [*BROKER, "serve", "--server", http_server],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    lines = []
    for line in process.stdout:
        lines.append(line.rstrip("\n"))
        if line.startswith("Ctrl-C"):
            break
    process.send_signal(signal.SIGINT)
    rest, complaints = process.communicate()

    assert (process.returncode, rest, complaints) == (0, "", "")
    text = "\n".join(lines)
    assert re.match(r"Replika Broker 0\.1\.0 listens on http://127\.0\.0\.1:\d+\n", text)
    assert re.search(r"storage   storage_sqlite: .*broker\.db.*fsync", text)
    assert re.search(
        r"plugins   storage_sqlite 0\.1\.0, rest 0\.1\.0, log 0\.1\.0, openapi 0\.1\.0", text
    )
    assert "broker publish hello 'first message' --create" in text
    assert len(lines) <= 24


def test_what_the_screen_suggests_works(folder, http_server):
    served = Served(folder, http_server=http_server)
    published = served.run("publish", "hello", "first message", "--create")
    consumed = served.run("consume", "hello")
    code = served.end()

    assert published.exit_code == 0, published.stderr
    assert (consumed.exit_code, consumed.stdout) == (0, "first message\n")
    assert code == 0


def test_a_port_in_use_is_one_line_and_74(folder, http_server):
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as taken:
        port = taken.getsockname()[1]
        code, said, _ = serve(folder, "--port", str(port), "--server", http_server)

    assert code == 74
    assert said == (
        f"broker: cannot listen on 127.0.0.1:{port}: Address already in use; stop what listens "
        "there, or choose another address with --host and --port\n"
    )


def test_a_database_of_a_running_broker_is_one_line_and_75(folder):
    served = Served(folder)
    code, said, _ = serve(folder, "--port", "0")
    served.end()

    assert code == 75
    assert re.fullmatch(r"broker: .*broker\.db.*\n", said)


@pytest.mark.parametrize(
    ("content", "problem"),
    [(b"not a database at all, but text " * 99, "is not a database"), (b"", "is empty")],
)
def test_an_unreadable_database_is_one_line_and_74(folder, content, problem):
    (folder / "broker.db").write_bytes(content)

    code, said, _ = serve(folder)

    assert code == 74
    assert re.fullmatch(rf"broker: .*broker\.db {problem}.*\n", said)
    assert (folder / "broker.db").read_bytes() == content


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_anonymous_access_is_refused_where_others_can_reach_it(folder, host):
    code, said, _ = serve(folder, "--host", host)

    assert code == 78
    assert said == (
        f'broker: broker.anonymous: true would let everybody who reaches "{host}" do everything; '
        "bind a loopback address (server.host), enable a plugin that authenticates, or start with "
        "--insecure\n"
    )


def test_insecure_lets_them_in_all_the_same(folder):
    process = subprocess.Popen(
        [*BROKER, "serve", "--host", "0.0.0.0", "--insecure", "--json"],
        cwd=folder,
        stdout=subprocess.PIPE,
    )
    screen = json.loads(process.stdout.readline())
    process.stdout.close()
    process.send_signal(signal.SIGTERM)

    assert process.wait() == 0
    assert screen["url"].startswith("http://0.0.0.0:")


def test_without_a_config_the_remedy_is_named(tmp_path):
    code, said, _ = serve(tmp_path)

    assert (code, said) == (
        78,
        'broker: broker.toml: no such file; "broker config init" writes one\n',
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_long_polls_and_idle_connections_and_exits_0(folder, http_server, number):
    served = Served(folder, http_server=http_server)
    served.run("queue", "create", "q")
    with httpx.Client(base_url=served.url) as idle:
        assert idle.get("/readyz").status_code == 200
        with socket.create_connection(("127.0.0.1", served.port)) as connection:
            begin(connection, "/queues/q/messages/lease", b'{"wait": 20}')
            connection.sendall(b'{"wait": 20}')
            code = served.end(number)
            answer = read_all(connection)

    assert code == 0
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b'{"messages":[],"paused":false}')


def test_a_publish_in_flight_is_answered_before_the_broker_ends(folder, http_server):
    served = Served(folder, http_server=http_server)
    served.run("queue", "create", "q")
    body = b'{"content": "the last one"}'
    with socket.create_connection(("127.0.0.1", served.port)) as connection:
        begin(connection, "/queues/q/messages", body)
        connection.sendall(body[:5])
        served.process.send_signal(signal.SIGTERM)
        connection.sendall(body[5:])
        answer = read_all(connection)
    code = served.end()
    served.start()
    consumed = served.run("consume", "q")
    served.end()

    assert answer.startswith(b"HTTP/1.1 201")
    assert (code, consumed.stdout) == (0, "the last one\n")


def test_a_request_that_never_ends_does_not_keep_the_broker(folder, http_server):
    served = Served(folder, http_server=http_server, shutdown_seconds=0)
    with ExitStack() as stack:
        in_head, in_body = (
            stack.enter_context(socket.create_connection(("127.0.0.1", served.port)))
            for _ in range(2)
        )
        in_head.sendall(b"POST /queues HTTP/1.1\r\nhost:")
        begin(in_body, "/queues", b"{}")
        in_body.sendall(b"{")
        code = served.end()

    assert code == 0, served.log()


def test_an_answer_that_is_never_read_does_not_keep_the_broker(folder, http_server):
    served = Served(folder, http_server=http_server, shutdown_seconds=0)
    served.run("queue", "create", "q")
    for _ in range(12):
        served.run("publish", "q", input=b"x" * 1_000_000)
    with socket.create_connection(("127.0.0.1", served.port)) as connection:
        begin(connection, "/queues/q/messages/lease", b'{"limit": 12}')
        connection.sendall(b'{"limit": 12}')
        assert connection.recv(100).startswith(b"HTTP/1.1 200")
        code = served.end()

    assert code == 0, served.log()


def test_doctor_examines_what_is_there(folder):
    done = subprocess.run(
        [*BROKER, "doctor", "--json"], cwd=folder, capture_output=True, text=True, timeout=60
    )
    told = json.loads(done.stdout)

    assert done.returncode == 0, done.stderr
    assert (told["errors"], told["warnings"]) == (0, 0)
    opened = [f["text"].split(":")[0] for f in told["findings"] if f["check"] == "provider"]
    assert opened == [
        *("SQLiteStorage", "ScopeAuthorizer", "LogObserver"),
        *("RestTransport", "DocumentTransport"),
    ]


@pytest.mark.parametrize("command", ["doctor", "plugins", "--help"])
def test_a_broken_plugin_stops_the_server_but_not_the_commands_that_tell_of_it(site, command):
    site.install("broken", "raise RuntimeError('half a plugin')")
    folder = site.directory.parent
    (folder / "broker.toml").write_text('[broker]\nplugins = ["broken"]\nanonymous = true\n')
    environment = {**os.environ, "PYTHONPATH": str(site.directory)}
    served, told = (
        subprocess.run(
            [sys.executable, "-m", "broker", one],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        for one in ("serve", command)
    )

    assert served.returncode == 78
    assert served.stderr.startswith(
        'broker: plugin "broken": import of acme_broken failed: RuntimeError: half a plugin'
    )
    assert served.stderr.count("\n") == 1
    assert told.returncode == (78 if command == "doctor" else 0)
    assert "Traceback" not in told.stdout + told.stderr
    if command != "--help":
        assert "half a plugin" in told.stdout


SLOW = """
import asyncio
from broker import Storage, hookimpl
from broker.builtin.memory import MemoryStorage


class SlowStorage(MemoryStorage):
    async def open(self):
        print("opening", flush=True)
        await asyncio.Event().wait()

    async def close(self):
        print("closed", flush=True)


@hookimpl
def provide_storage(plugin):
    return SlowStorage()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_the_broker_opens_closes_it_again(site, number):
    site.install("slow", SLOW)
    folder = site.directory.parent
    (folder / "broker.toml").write_text(
        '[server]\nport = 0\n[broker]\nplugins = ["slow"]\nanonymous = true\n'
    )
    process = subprocess.Popen(
        [*BROKER, "serve"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(site.directory)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "opening\n"
    process.send_signal(number)
    rest, complaints = process.communicate(timeout=60)

    assert (process.returncode, rest, complaints) == (0, "closed\n", "")


FAILING = """
from broker import StorageFailed, hookimpl
from broker.builtin.memory import MemoryStorage


class FailingStorage(MemoryStorage):
    async def publish(self, batch, *, now):
        raise StorageFailed("the disk of acme failed (EIO); mend it")

    async def close(self):
        print("closed", flush=True)


@hookimpl
def provide_storage(plugin):
    return FailingStorage()
"""


def test_a_storage_that_gives_up_stops_the_broker_with_74(site):
    site.install("failing", FAILING)
    folder = site.directory.parent
    (folder / "broker.toml").write_text(
        '[server]\nport = 0\n[log]\nformat = "console"\nrequests = false\n'
        '[broker]\nplugins = ["failing"]\nanonymous = true\n'
    )
    process = subprocess.Popen(
        [*BROKER, "serve", "--json"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(site.directory)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with httpx.Client(base_url=json.loads(process.stdout.readline())["url"]) as client:
        client.post("/queues", json={"name": "q"}).raise_for_status()
        answer = client.post("/queues/q/messages", json={"content": "lost"})
    rest, complaints = process.communicate(timeout=60)

    assert (answer.status_code, answer.json()["code"]) == (503, "storage-failed")
    assert "acme" not in answer.text
    assert (process.returncode, rest) == (74, "closed\n")
    assert re.fullmatch(
        r"(?:.* \[info .*\n)*"
        r".* \[critical \] the disk of acme failed \(EIO\); mend it \[broker\.storage\] request_id=.*\n"
        r"broker: the storage failed; the broker stops\n",
        complaints,
    )
