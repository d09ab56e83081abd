"""The plugin: its entry point, and what its README says of it."""

import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from examples import blocks
from tables import default_of, table

import broker_sse
from broker.assembly import assemble
from broker.config import make_config
from broker_sse.config import SseConfig
from broker_sse.transport import SseTransport

README = (Path(__file__).parent.parent / "README.md").read_text()


def test_the_entry_point_leads_to_the_plugin():
    [found] = entry_points(group="broker.plugins", name="sse")
    assert found.load() is broker_sse


def test_the_readme_lists_every_option_with_its_default():
    documented = {row[0].strip("`"): row[1:] for row in table(README, "### Options")}

    assert documented == {
        name: [default_of(field), field.description]
        for name, field in SseConfig.model_fields.items()
    }


def transports(config, directory):
    config["broker"]["data_dir"] = str(directory)
    return assemble(make_config(config)).transports


@pytest.mark.parametrize("block", blocks(README, "toml"))
def test_every_config_in_the_readme_is_one(block, tmp_path, monkeypatch):
    monkeypatch.setenv("EVENTS_URL", "redis://127.0.0.1:6379")
    data = tomllib.loads(block)
    data.setdefault("broker", {"plugins": ["sse"]})

    assert "sse" in [name for name, _ in transports(data, tmp_path)]


def test_the_readme_lists_every_route(tmp_path):
    found = transports({"broker": {"plugins": ["sse"]}}, tmp_path)
    [transport] = [transport for _, transport in found if isinstance(transport, SseTransport)]
    documented = [row[0].strip("`") for row in table(README, "## Routes")]

    assert documented == [f"{route.method} {route.path}" for route in transport.routes()]
