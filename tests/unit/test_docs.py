"""The tables of docs/ say what the code says, and every link and test that they name is there."""

import json
import re
import tomllib
from pathlib import Path
from typing import get_args

import msgspec
import pytest
from pydantic import BaseModel
from tables import default_of, table

import broker
from broker import QueuePolicy, hookspecs
from broker.config import BrokerConfig, LogConfig, ServerConfig, TlsConfig, TracesConfig
from broker.doctor import CHECKS

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def table_of(page, heading):
    return table((ROOT / "docs" / page).read_text(), heading)


def headings(linked, page):
    """What links call the headings of a page, of this one if they name none."""
    text = (page if linked.is_dir() else linked).read_text()
    found = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in found}


@pytest.mark.parametrize("name", ["server", "server.tls", "broker", "log", "traces"])
def test_the_tables_of_the_configuration_are_those_of_the_code(name):
    model = {
        "server": ServerConfig,
        "server.tls": TlsConfig,
        "broker": BrokerConfig,
        "log": LogConfig,
        "traces": TracesConfig,
    }[name]
    documented = table_of("configuration.md", f"## `[{name}]`")

    assert [row[0].strip("`") for row in documented] == list(model.model_fields)
    for (_, default, description), field in zip(
        documented, model.model_fields.values(), strict=True
    ):
        assert (default, description) == (default_of(field), field.description)


def test_the_policy_of_a_queue_is_documented_field_by_field():
    documented = {row[0].strip("`"): row[1].strip("`") for row in table_of("rest.md", "### Policy")}

    defaults = msgspec.to_builtins(QueuePolicy())
    assert documented == {name: json.dumps(value) for name, value in defaults.items()}


def errors(kind=broker.BrokerError):
    yield kind
    for child in kind.__subclasses__():
        yield from errors(child)


def test_every_error_that_a_client_can_get_is_documented():
    documented = {
        (int(row[0]), code)
        for row in table_of("rest.md", "## Errors")
        for code in re.findall(r"`([a-z-]+)`", row[1])
    }

    expected = {
        (kind.status, kind.code)
        for kind in errors()
        if kind.__module__ == "broker.errors" and not issubclass(kind, broker.StartupError)
    }
    framework = {(404, "not-found"), (405, "method-not-allowed"), (408, "request-timeout")}
    assert documented == expected | framework


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_to_a_file_leads_somewhere(page):
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text())

    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_to_a_heading_leads_to_one(page):
    links = re.findall(r"\]\((?!https?://)([^)#]*)#([^)]+)\)", page.read_text())

    assert [link for link in links if link[1] not in headings(page.parent / link[0], page)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_test_that_is_named_is_there(page):
    named = re.findall(r"\[(test_\w+)\]\(([^)]+)\)", page.read_text())

    missing = [
        (test, file)
        for test, file in named
        if f"def {test}(" not in (page.parent / file).read_text()
    ]
    assert missing == []


def test_every_attack_stands_beside_a_test():
    rows = table_of("security.md", "# Security")

    attacks = [row[0] for row in rows if row[0]]
    expected = [*(f"J{n}" for n in range(1, 11)), "P1", "P2", "P3", "S1", "S2", "T1", "T2"]
    expected += ["H1", "H2", "H3", "H5", "H6", "H7", "D1", "D2", "E1", "E2"]
    expected += [*(f"G{n}" for n in range(1, 6)), "M1"]
    assert attacks == expected
    assert [row for row in rows if "[test_" not in row[3]] == []


def test_every_promise_stands_beside_a_test_and_a_figure():
    rows = table_of("concepts.md", "## Promises")

    assert [row[0] for row in rows] == [f"P{number}" for number in range(1, 12)]
    for _, _, held_by, figure in rows:
        assert "[test_" in held_by
        assert re.search(r"\d", figure), figure


def test_every_way_in_which_a_plugin_breaks_stands_beside_a_test():
    rows = table_of("isolation.md", "# Isolation")

    roles = [hook.removeprefix("provide_") for hook in vars(hookspecs) if "provide_" in hook]
    documented = {row[0].partition(" with ")[0].replace(" ", "_") for row in rows}
    assert documented == {*roles, "any"}
    assert [row for row in rows if not row[4].startswith("[test_")] == []


def test_every_module_of_the_house_is_in_the_picture_of_it():
    picture = (ROOT / "docs" / "architecture.md").read_text()
    modules = [path.name for path in (ROOT / "broker").glob("*.py") if path.name != "__main__.py"]

    assert [name for name in sorted(modules) if name not in picture] == []


def test_every_check_of_the_doctor_is_documented_with_its_remedy():
    documented = table_of("operations.md", "## What is wrong with this installation")

    assert documented == [
        [f"`{code}`", check.looks_at, check.remedy or "nothing: it only tells"]
        for code, check in CHECKS.items()
    ]


def plugin_manifests():
    """The manifests of all distributions here that bring plugins."""
    found = [
        *(ROOT / "plugins").glob("*/pyproject.toml"),
        *(ROOT / "examples").glob("*/pyproject.toml"),
    ]
    return [pytest.param(path, id=path.parent.name) for path in sorted(found)]


def schemas(manifest):
    """The config of a distribution's plugins, with the tables that are within."""
    named = tomllib.loads(manifest.read_text())["project"]["entry-points"]["broker.plugins"]
    for module in named.values():
        plugin = pytest.importorskip(module, reason=f"{module} is not installed")
        if hasattr(plugin, "config_schema"):
            yield from tables_of(plugin.config_schema())


def tables_of(model):
    yield model
    for field in model.model_fields.values():
        for kind in {field.annotation, *walk(field.annotation)}:
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from tables_of(kind)


def walk(annotation):
    for kind in get_args(annotation):
        yield kind
        yield from walk(kind)


@pytest.mark.parametrize("manifest", plugin_manifests())
def test_every_option_of_a_plugin_stands_in_its_readme(manifest):
    text = manifest.with_name("README.md").read_text()
    rows = [
        tuple(cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|")))
        for line in re.findall(r"^\|.*\|$", text, re.MULTILINE)
    ]

    missing = [
        row
        for model in schemas(manifest)
        for name, field in model.model_fields.items()
        if (row := (f"`{name}`", default_of(field), field.description)) not in rows
    ]
    assert missing == [], "each option needs a row: | `name` | default | description |"
