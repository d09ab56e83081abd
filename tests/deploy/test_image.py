"""The image: what can be known of it without an engine that builds and runs it."""

import json
import re
import shutil
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatch
from importlib.metadata import metadata
from pathlib import Path

import pytest
from deployed import DEPLOY, IMAGE_CONFIG, ROOT, config_in_image, healthcheck, instructions, last
from environments import Environment, execute
from served import Served

from broker import ConfigError
from broker.safety import refuse_open_door

BIN = Path(sys.executable).parent


def test_hadolint_finds_nothing():
    done = execute(BIN / "hadolint", DEPLOY / "docker" / "Dockerfile")

    assert (done.returncode, done.stdout) == (0, "")


def test_the_config_in_the_image_is_sound(monkeypatch):
    config = config_in_image(monkeypatch, {})

    assert config.broker.data_dir == Path(last("VOLUME"))
    assert str(config.server.port) == last("EXPOSE")
    refuse_open_door(config, insecure=False)


def test_a_container_that_lets_everybody_in_does_not_start(monkeypatch):
    config = config_in_image(monkeypatch, {"BROKER__BROKER__ANONYMOUS": "true"})

    with pytest.raises(ConfigError, match="would let everybody"):
        refuse_open_door(config, insecure=False)


def test_all_plugins_of_its_config_are_installed(monkeypatch):
    built = " ".join(text for name, text in instructions() if name == "RUN")
    for name in config_in_image(monkeypatch, {}).broker.plugins:
        assert f"./plugins/{name}" in built
        assert f"replika-broker-{name.replace('_', '-')}" in built


def test_all_that_operators_and_plugins_are_told_of_is_installed():
    [built] = [text for name, text in instructions() if name == "RUN" and "/wheels" in text]
    asked = re.findall(r'"(?:\.|replika-broker)\[([a-z,]+)\]"', built)
    extras = metadata("replika-broker").get_all("Provides-Extra")

    assert asked == ["docs,granian,otel"] * 2
    # What is left out is for authors of plugins, and for a certificate to try.
    assert set(extras) - set(asked[0].split(",")) == {"dev", "testing", "tls"}
    folders = {path.parent.name for path in (ROOT / "plugins").glob("*/pyproject.toml")}
    assert set(re.findall(r"\./plugins/(\w+)", built)) == folders
    assert built.count("--constraint constraints.txt") == 2


def test_nobody_runs_as_root_and_signals_reach_the_broker_itself():
    assert last("USER") == "8777:8777"
    assert json.loads(last("ENTRYPOINT")) + json.loads(last("CMD")) == ["broker", "serve"]


def test_its_config_is_where_the_broker_looks_for_it():
    copied = [text.split() for name, text in instructions() if name == "COPY"]
    assert ["deploy/docker/broker.toml", "/etc/broker/broker.toml"] in copied
    assert "BROKER_CONFIG=/etc/broker/broker.toml" in last("ENV")


def let_in():
    """The paths that a build sees."""
    rules = (ROOT / ".dockerignore").read_text().split("\n")
    assert "*" in rules
    return [rule.removeprefix("!") for rule in rules if rule.startswith("!")]


def test_what_is_built_is_let_in_and_what_is_secret_is_not():
    assert all((ROOT / path).exists() for path in let_in())
    for name in ("broker.toml", "broker.db", "auth-keys.json", ".git", ".venv", "tests"):
        assert not any(fnmatch(name, path) for path in let_in())


@pytest.fixture
def command():
    """The command by which an engine asks for the health of a container."""
    return [sys.executable, *healthcheck()[1:]]


def test_its_health_is_that_of_the_broker(command, tmp_path):
    served = Served(tmp_path, plugins=["auth_jwt"], anonymous="false")
    port = str(served.port)
    try:
        assert execute(*command, BROKER__SERVER__PORT=port).returncode == 0
        nowhere = dict.fromkeys(("http_proxy", "HTTP_PROXY", "all_proxy"), "http://127.0.0.1:1")
        assert execute(*command, BROKER__SERVER__PORT=port, **nowhere).returncode == 0
    finally:
        served.end()
    assert execute(*command, BROKER__SERVER__PORT=port).returncode != 0


@pytest.mark.parametrize(("status", "is_well"), [("200 OK", True), ("503 No", False)])
def test_only_200_is_health(command, status, is_well):
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:
        listener.settimeout(60)
        port = str(listener.getsockname()[1])
        asking = pool.submit(execute, *command, BROKER__SERVER__PORT=port)
        connection, _ = listener.accept()
        with connection:
            assert connection.recv(1_000).startswith(b"GET /healthz ")
            connection.sendall(f"HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n".encode())
            assert (asking.result().returncode == 0) == is_well


@pytest.mark.timeout(900)
@pytest.mark.skipif(shutil.which("c++") is None, reason="there is no C++ compiler here")
def test_the_steps_that_build_it_do(tmp_path):
    environment = Environment(tmp_path / "probe")
    environment.make()
    environment.install("wheel")  # or there is no index of packages, and this is skipped
    [build] = [text for name, text in instructions() if name == "RUN" and "/wheels" in text]
    target = tmp_path / "opt"
    for path, place in (("/wheels", "wheels"), ("/opt/broker", "opt"), ("/cmake ", "cmake ")):
        build = build.replace(path, f"{tmp_path}/{place}")
    build = build.replace("python -m", f"{sys.executable} -m")
    clone, source = tmp_path / "clone", tmp_path / "src"
    subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
    for path in let_in():
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        (clone / path).rename(source / path)

    done = execute("sh", "-c", build, cwd=source)

    assert done.returncode == 0, done.stdout + done.stderr
    checked = execute(target / "bin" / "broker", "config", "check", "--config", IMAGE_CONFIG)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    extras = "import granian, offapi, opentelemetry.sdk, opentelemetry.exporter.otlp.proto.http"
    imported = execute(target / "bin" / "python", "-c", extras)
    assert imported.returncode == 0, imported.stderr
