"""What is in deploy/, read as those who run it read it."""

import json
import shlex
from pathlib import Path

import pytest

from broker.loading import load, read_whole_config
from broker.server import STOP_SECONDS

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
IMAGE_CONFIG = DEPLOY / "docker" / "broker.toml"


def config_in_image(monkeypatch, environment, *, secrets=None):
    """Return the config that a container has; raises ConfigError for variables that say nothing."""
    pytest.importorskip("broker_graphql", reason="the plugin graphql is not installed")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    if secrets is not None:
        monkeypatch.setenv("BROKER_SECRETS_DIR", str(secrets))
    config = read_whole_config(IMAGE_CONFIG)
    load(config)  # which binds the tables of its plugins
    return config


def instructions():
    """The Dockerfile as pairs of an instruction and its text, a line each."""
    text = (DEPLOY / "docker" / "Dockerfile").read_text().replace("\\\n", " ")
    lines = (line for line in text.splitlines() if line and not line.startswith("#"))
    return [(line.split(None, 1)[0], line.split(None, 1)[1].strip()) for line in lines]


def last(instruction):
    """The text of the last such instruction, which is the one that counts."""
    return [text for name, text in instructions() if name == instruction][-1]


def healthcheck():
    """The command by which an engine asks for the health of a container."""
    return json.loads(last("HEALTHCHECK").partition("CMD ")[2])


def unit(name):
    """The settings of a systemd unit and its drop-ins: a list of values for each name."""
    settings = {}
    folder = DEPLOY / "systemd"
    for path in (folder / name, *dropins(folder, name)):
        for line in path.read_text().splitlines():
            if line and line[0] not in "#[":
                key, _, value = line.partition("=")
                settings.setdefault(key, []).append(value)
    return settings


def dropins(folder, name):
    """Return the drop-ins of a unit: its own, and those of the names it begins with, to a dash."""
    stem, dot, kind = name.rpartition(".")
    parts = stem.split("-")
    prefixes = [f"{'-'.join(parts[:number])}-" for number in range(1, len(parts))]
    folders = [folder / f"{each}{dot}{kind}.d" for each in (*prefixes, stem)]
    found = {path.name: path for each in folders for path in each.glob("*.conf")}
    return [found[key] for key in sorted(found)]


def environment_of(settings):
    return dict(
        pair.split("=", 1) for line in settings["Environment"] for pair in shlex.split(line)
    )


def longest_end(server):
    """Seconds after which a broker that was told to stop has ended, whatever holds it up."""
    return server.unready_seconds + server.shutdown_seconds + STOP_SECONDS
