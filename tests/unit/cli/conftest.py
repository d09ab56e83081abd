"""A broker that answers what a test tells it to, and remembers what it was asked."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import SimpleNamespace
from urllib.parse import parse_qsl

import pytest
from click.testing import CliRunner

from broker.cli import cli


class Double:
    LOST = object()
    """An answer that never comes: the connection ends instead."""

    def __init__(self):
        self.asked = []
        self.answers = []
        self.url = ""

    def will_answer(self, *answers):
        """Each is (status, body), (status, body, headers), LOST, or a function of the request."""
        self.answers += answers

    def answer(self, request):
        self.asked.append(request)
        answer = self.answers.pop(0) if self.answers else (500, {"detail": "nothing planned"})
        return answer(request) if callable(answer) else answer


@pytest.fixture
def double():
    double = Double()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one(self):
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            is_form = self.headers["content-type"] == "application/x-www-form-urlencoded"
            request = SimpleNamespace(
                method=self.command,
                path=self.path,
                headers=self.headers,
                json=json.loads(body) if body and not is_form else None,
                form=parse_qsl(body.decode()) if is_form else None,
            )
            answer = double.answer(request)
            if answer is double.LOST:
                self.close_connection = True
                return
            status, content, headers = (*answer, {})[:3]
            payload = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        do_GET = do_POST = do_PATCH = do_DELETE = handle_one

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    double.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield double
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def config_home(tmp_path, monkeypatch):
    """Where logins are kept."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config"


@pytest.fixture
def run(double):
    """Run the command line against the double."""

    def run(*args, input=None, env=None):
        env = {"BROKER_URL": double.url, "BROKER_TOKEN": None, **(env or {})}
        return CliRunner().invoke(cli, args, input=input, env=env, prog_name="broker")

    return run
