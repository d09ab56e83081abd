"""The plugin: its entry point, and what its README says of it."""

import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from pages import blocks

import broker_metrics
from broker.testing import assert_config_used

README = (Path(__file__).parent.parent / "README.md").read_text()


def test_the_entry_point_leads_to_the_plugin():
    [found] = entry_points(group="broker.plugins", name="metrics")
    assert found.load() is broker_metrics


@pytest.mark.parametrize("block", blocks(README, "toml"))
def test_every_config_in_the_readme_is_one(block, monkeypatch, broker_factory):
    monkeypatch.setenv("METRICS_TOKEN", "a token of 32 bytes, or of more.")

    client = broker_factory(
        ["metrics"], config={"plugins": tomllib.loads(block).get("plugins", {})}
    )

    assert "metrics" in dict(client.assembly.transports)


async def test_every_option_is_used(broker_factory):
    table = {"listen": "127.0.0.1:0", "token": "a token of 32 bytes, or of more."}
    await assert_config_used(broker_factory, "metrics", table)
