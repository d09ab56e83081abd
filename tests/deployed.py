"""What is in deploy/, read as those who run it read it."""

import json
import shlex
from pathlib import Path

from broker.loading import load, read_whole_config

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
IMAGE_CONFIG = DEPLOY / "docker" / "broker.toml"
KILLED_AFTER_SECONDS = 30
"""How long the broker takes at most to end, after requests had their time."""


def config_in_image(monkeypatch, environment, *, secrets=None):
    """Return the config that a container has; raises ConfigError for variables that say nothing."""
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


def unit():
    """The settings of the systemd unit: a list of values for each name."""
    settings = {}
    for line in (DEPLOY / "systemd" / "replika-broker.service").read_text().splitlines():
        if line and line[0] not in "#[":
            name, _, value = line.partition("=")
            settings.setdefault(name, []).append(value)
    return settings


def environment_of(settings):
    return dict(
        pair.split("=", 1) for line in settings["Environment"] for pair in shlex.split(line)
    )
