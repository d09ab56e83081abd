"""The plugin: its entry point, and what its README says of it."""

import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from pages import blocks
from tables import default_of, table

import broker_sse
from broker.testing import assert_config_used
from broker_sse.config import SseConfig

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


@pytest.mark.parametrize("block", blocks(README, "toml"))
def test_every_config_in_the_readme_is_one(block, monkeypatch, broker_factory):
    monkeypatch.setenv("EVENTS_URL", "redis://127.0.0.1:6379")

    client = broker_factory(["sse"], config=tomllib.loads(block))

    assert "sse" in dict(client.assembly.transports)


def test_the_readme_lists_every_route(broker_factory):
    transport = dict(broker_factory(["sse"]).assembly.transports)["sse"]
    documented = [row[0].strip("`") for row in table(README, "## Routes")]

    assert documented == [f"{route.method} {route.path}" for route in transport.routes()]


async def test_every_option_is_used(broker_factory, valkey):
    await assert_config_used(broker_factory, "sse", {"redis_url": valkey.url})
