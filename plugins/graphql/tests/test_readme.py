"""What the plugin's README says of it, and what it costs who does not enable it."""

import subprocess
import sys
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from pages import blocks
from tables import default_of, table

import broker_graphql
from broker_graphql.config import GraphqlConfig

README = (Path(__file__).parent.parent / "README.md").read_text()


def test_the_entry_point_leads_to_the_plugin():
    [found] = entry_points(group="broker.plugins", name="graphql")
    assert found.load() is broker_graphql


def test_the_readme_lists_every_option_with_its_default():
    documented = {row[0].strip("`"): row[1:] for row in table(README, "### Options")}

    assert documented == {
        name: [default_of(field), field.description]
        for name, field in GraphqlConfig.model_fields.items()
    }


@pytest.mark.parametrize("block", blocks(README, "toml"))
def test_every_config_in_the_readme_is_one(block, broker_factory):
    client = broker_factory(["graphql"], config=tomllib.loads(block))

    assert "graphql" in dict(client.assembly.transports)


def test_the_readme_lists_every_route(broker_factory):
    documented = [row[0].strip("`") for row in table(README, "## Routes")]

    routes = dict(broker_factory(["graphql"]).assembly.transports)["graphql"].routes()
    assert documented == [f"{route.method} {route.path}" for route in routes]


def test_what_explains_the_plugin_imports_no_engine():
    code = (
        "import sys, broker_graphql; broker_graphql.config_schema();"
        "print({'graphql', 'lark', 'tartiflette'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "set()\n"
