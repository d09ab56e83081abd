"""The image: what can be known of it without an engine that builds and runs it."""

import json
import subprocess
import sys
from fnmatch import fnmatch
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


def test_nobody_runs_as_root_and_signals_reach_the_broker_itself():
    assert last("USER") == "8777:8777"
    assert json.loads(last("ENTRYPOINT")) + json.loads(last("CMD")) == ["broker", "serve"]


def test_its_config_is_where_the_broker_looks_for_it():
    copied = [text.split() for name, text in instructions() if name == "COPY"]
    assert ["deploy/docker/broker.toml", "/etc/broker/broker.toml"] in copied
    assert "BROKER_CONFIG=/etc/broker/broker.toml" in last("ENV")


def test_what_is_built_is_let_in_and_what_is_secret_is_not():
    rules = (ROOT / ".dockerignore").read_text().split("\n")
    let_in = [rule.removeprefix("!") for rule in rules if rule.startswith("!")]

    assert "*" in rules
    assert all((ROOT / path).exists() for path in let_in)
    for name in ("broker.toml", "broker.db", "auth-keys.json", ".git", ".venv", "tests"):
        assert not any(fnmatch(name, path) for path in let_in)


def test_its_health_is_that_of_the_broker(tmp_path):
    command = [sys.executable, *healthcheck()[1:]]
    served = Served(tmp_path, plugins=["auth_jwt"], anonymous="false")
    port = str(served.port)
    try:
        assert execute(*command, BROKER__SERVER__PORT=port).returncode == 0
    finally:
        served.end()
    assert execute(*command, BROKER__SERVER__PORT=port).returncode != 0


@pytest.mark.timeout(900)
def test_the_steps_that_build_it_do(tmp_path):
    environment = Environment(tmp_path / "probe")
    environment.make()
    environment.install("wheel")  # or there is no index of packages, and this is skipped
    [build] = [text for name, text in instructions() if name == "RUN" and "/wheels" in text]
    target = tmp_path / "opt"
    for path, place in (("/wheels", tmp_path / "wheels"), ("/opt/broker", target)):
        build = build.replace(path, str(place))
    build = build.replace("python -m", f"{sys.executable} -m")
    source = tmp_path / "src"
    subprocess.run(["git", "clone", "--quiet", ROOT, source], check=True)

    done = execute("sh", "-c", build, cwd=source)

    assert done.returncode == 0, done.stdout + done.stderr
    checked = execute(target / "bin" / "broker", "config", "check", "--config", IMAGE_CONFIG)
    assert checked.returncode == 0, checked.stdout + checked.stderr
