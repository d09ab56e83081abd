"""The plugin: its entry point, and what its README says of it."""

import re
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from pages import blocks
from tables import default_of, table

import broker_ratelimit
from broker import Draft, Identity
from broker.testing import assert_config_used
from broker_ratelimit.config import LimitConfig, RateLimitConfig
from broker_ratelimit.limiter import Limiter

README = (Path(__file__).parent.parent / "README.md").read_text()


def test_the_entry_point_leads_to_the_plugin():
    [found] = entry_points(group="broker.plugins", name="ratelimit")
    assert found.load() is broker_ratelimit


@pytest.mark.parametrize(
    ("heading", "model"), [("### Options", RateLimitConfig), ("### Limits", LimitConfig)]
)
def test_the_readme_lists_every_option_with_its_default(heading, model):
    documented = {row[0].strip("`"): row[1:] for row in table(README, heading)}

    assert documented == {
        name: [default_of(field), field.description] for name, field in model.model_fields.items()
    }


@pytest.mark.parametrize("block", blocks(README, "toml"))
def test_every_config_in_the_readme_is_one(block, monkeypatch, broker_factory):
    monkeypatch.setenv("RATELIMIT_URL", "redis://127.0.0.1:6379")

    providers = broker_factory(["ratelimit"], config=tomllib.loads(block)).assembly.providers

    assert isinstance(providers.limiter[1], Limiter)


def test_the_rate_in_words_that_the_readme_shows_is_one():
    [rate] = re.findall(r"`(\d+ per [^`]+)`", README)
    assert LimitConfig(rate=rate).windows[0].seconds == 600


def test_the_limit_in_the_readme_is_told_as_it_shows():
    [shown] = re.findall(r"^RateLimit-Policy: (.*)$", README, re.MULTILINE)
    [limit] = [b for b in blocks(README, "toml") if "limits.orders" in b]
    windows = (
        RateLimitConfig(**tomllib.loads(limit)["plugins"]["ratelimit"]).all_limits["orders"].windows
    )

    told = ", ".join(f'"orders-{w.seconds}s";q={w.amount};w={w.seconds}' for w in windows)
    assert told == shown


async def test_every_option_is_used(broker_factory, valkey):
    robot = Identity(subject="robot", scopes=frozenset({"admin"}))

    async def publish(client):
        await client.create_queue("orders")
        await client.broker.publish(robot, [Draft(queue="orders", body=b"tea")])

    limit = {"rate": "200/second", "activities": ["publish"], "queues": ["orders"]}
    table = {"url": valkey.url, "limits": {"orders": limit}}
    await assert_config_used(broker_factory, "ratelimit", table, exercise=publish)
