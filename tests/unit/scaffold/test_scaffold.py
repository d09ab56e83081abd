"""The packages that are written, file by file; that they work is tested in tests/wheels."""

import os
import re
import tomllib
from pathlib import Path, PurePosixPath

import pytest
from tables import default_of, table

import broker
from broker.config import make_config
from broker.scaffold import fitting_versions, render, write_package
from broker.scaffold.naming import read_name
from broker.scaffold.roles import ROLES

ROOT = Path(__file__).parents[3]
MANIFESTS = sorted(
    [*ROOT.glob("plugins/*/pyproject.toml"), *ROOT.glob("examples/*/pyproject.toml")]
)
RATE_CARD = read_name("rate-card")


@pytest.fixture(params=ROLES)
def role(request):
    return request.param


@pytest.fixture
def rendered(role):
    return {str(path): text for path, text in render(RATE_CARD, role).items()}


def test_every_role_has_the_same_files_but_for_the_provider(rendered):
    [provider] = [path for path in rendered if path not in {*rendered} & FILES]

    assert rendered.keys() == {*FILES, provider}
    assert PurePosixPath(provider).parent == PurePosixPath("broker_rate_card")


FILES = {
    "CHANGELOG.md",
    "README.md",
    "broker_rate_card/__init__.py",
    "broker_rate_card/config.py",
    "broker_rate_card/py.typed",
    "pyproject.toml",
    "tests/test_contract.py",
}


def test_every_role_is_one_that_the_broker_has(role):
    assert issubclass(getattr(broker, ROLES[role].base), broker.Provider)


def test_nothing_is_left_to_fill_in(rendered):
    left = {path: re.findall(r"\$\{?\w+|acme", text, re.I) for path, text in rendered.items()}

    assert {path: words for path, words in left.items() if words} == {}


def test_the_manifest_leads_the_broker_to_the_package(rendered):
    manifest = tomllib.loads(rendered["pyproject.toml"])

    project = manifest["project"]
    assert project["name"] == "broker-rate-card"
    assert project["entry-points"] == {"broker.plugins": {"rate_card": "broker_rate_card"}}
    assert project["dependencies"] == ["replika-broker>=0.1,<0.2"]
    assert project["optional-dependencies"] == {"test": ["replika-broker[testing]"]}


@pytest.mark.parametrize(
    ("made_with", "fitting"),
    [("0.1.0", ">=0.1,<0.2"), ("0.12.3", ">=0.12,<0.13"), ("1.4.2", ">=1.4,<2")],
)
def test_a_plugin_names_the_versions_that_do_not_break_it(made_with, fitting):
    assert fitting_versions(made_with) == fitting


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda path: path.parent.name)
def test_plugins_that_are_here_name_them_too(manifest):
    required = tomllib.loads(manifest.read_text())["project"]["dependencies"]

    assert f"replika-broker{fitting_versions(broker.__version__)}" in required


def test_plugins_of_the_docs_name_them_too():
    pages = "".join(page.read_text() for page in (ROOT / "docs").glob("*.md"))
    required = re.findall(r'^dependencies = .*"(replika-broker[^"]*)"', pages, re.MULTILINE)

    assert {*required} == {f"replika-broker{fitting_versions(broker.__version__)}"}


def test_the_readme_lists_every_option_with_its_default(rendered):
    namespace = {"__name__": "config"}
    exec(rendered["broker_rate_card/config.py"], namespace)
    fields = namespace["RateCardConfig"].model_fields

    documented = {row[0].strip("`"): row[1:] for row in table(rendered["README.md"], "### Options")}

    assert documented == {
        name: [default_of(field), field.description] for name, field in fields.items()
    }


def test_the_config_in_the_readme_is_one_that_the_plugin_takes(rendered, monkeypatch):
    monkeypatch.setenv("ROBOT_KEY", "x" * 32)
    namespace = {"__name__": "config"}
    exec(rendered["broker_rate_card/config.py"], namespace)
    [shown] = re.findall(r"^```toml\n(.*?)^```", rendered["README.md"], re.MULTILINE | re.DOTALL)
    config = make_config({"plugins": {}, **tomllib.loads(shown)})

    assert config.broker.plugins == ("rate_card",)
    namespace["RateCardConfig"].model_validate(config.plugins.get("rate_card", {}))


def test_a_package_imports_public_names_only(rendered):
    source = "\n".join(text for path, text in rendered.items() if path.endswith(".py"))

    modules = re.findall(r"^(?:from|import) (broker\S*)", source, re.MULTILINE)
    names = re.findall(r"^from broker import (.*)$", source, re.MULTILINE)

    assert {name for name in modules if not name.startswith("broker_")} == {
        "broker",
        "broker.testing",
    }
    assert {one for line in names for one in line.split(", ")} <= {*broker.__all__}


def test_nobody_else_can_read_what_a_storage_keeps(tmp_path):
    source = render(RATE_CARD, "storage")[PurePosixPath("broker_rate_card/store.py")]
    namespace = {"__name__": "store"}
    exec(source, namespace)
    store = namespace["RateCardStore"](tmp_path / "new" / "queues.db")
    before = os.umask(0)
    try:
        store.open()
        store.commit({b"key": b"value"})
        store.close()
    finally:
        os.umask(before)

    assert [path.stat().st_mode & 0o077 for path in (tmp_path / "new").iterdir()] == [0]


def test_what_is_written_is_what_is_rendered(tmp_path, role, rendered):
    folder = write_package(RATE_CARD, role, tmp_path)

    assert folder == tmp_path / "broker-rate-card"
    files = [path for path in folder.rglob("*") if path.is_file()]
    written = {str(path.relative_to(folder)): path.read_text() for path in files}
    assert written == rendered


@pytest.mark.parametrize("make", ["mkdir", "touch"])
def test_nothing_that_is_there_is_touched(tmp_path, make):
    there = tmp_path / "broker-rate-card"
    getattr(there, make)()

    with pytest.raises(FileExistsError):
        write_package(RATE_CARD, "storage", tmp_path)

    assert list(tmp_path.rglob("*")) == [there]
