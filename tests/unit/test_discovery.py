"""Plugins are found by metadata alone, whatever else is installed beside them."""

import sys
from importlib.metadata import version

import pytest

from broker.discovery import GROUP, PluginRecord, discover, survey

UNREADABLE = {
    "no entry": "[broker.plugins]\nbroken\n",
    "no text": b"[broker.plugins]\nbroken = \xff\xfe\n",
}


@pytest.mark.parametrize("entry_points", UNREADABLE.values(), ids=UNREADABLE)
def test_metadata_that_cannot_be_read_hides_nobody_else(site, install, entry_points):
    site.describe("acme_broken-1.0", metadata="Name: acme-broken\n", entry_points=entry_points)
    install("acme", "")

    found = discover()

    assert found["acme"] == (
        PluginRecord(name="acme", distribution="acme-acme", version="1.0", module="acme_acme"),
    )
    assert {"rest", "memory"} < found.keys()
    [why] = [why for _, _, why in survey() if why]
    assert why.split(":")[0] in {"TypeError", "ValueError", "UnicodeDecodeError"}


@pytest.mark.parametrize("metadata", ["", "Metadata-Version: 2.1\n", b"\xff\xfe"])
def test_a_distribution_without_name_or_version_is_there_all_the_same(site, metadata):
    site.describe("acme_bare-1.0", metadata=metadata, entry_points=f"[{GROUP}]\nbare = acme_bare\n")

    assert discover()["bare"] == (PluginRecord(name="bare", module="acme_bare"),)


def test_what_stands_first_on_the_path_hides_another_version(site, install, tmp_path, monkeypatch):
    install("acme", "")
    site.describe("acme_broken-1.0", metadata="Name: x\n", entry_points="[a]\nbroken")
    later = type(site)(tmp_path / "later")
    monkeypatch.syspath_prepend(str(later.directory))
    later.install("acme", "", version="2.0")

    assert [record.version for record in discover()["acme"]] == ["2.0"]


def test_roles_are_told_by_hooks():
    hooks = ("config_schema", "provide_rate_limiter", "provide_storage", "register_commands")

    assert PluginRecord(name="acme", hooks=hooks).roles == ("rate-limiter", "storage")


def test_discovery_names_what_is_installed_and_imports_nothing(install):
    install("acme", "raise SystemExit", version="2.1")

    found = discover()

    assert found["acme"] == (
        PluginRecord(
            name="acme", distribution="acme-acme", version="2.1", module="acme_acme", hooks=()
        ),
    )
    assert "acme_acme" not in sys.modules
    assert list(found) == sorted(found)


def test_the_built_ins_are_entry_points_of_the_core():
    found = discover()

    for name in ("log", "memory", "openapi", "rest", "scopes"):
        [record] = found[name]
        assert record.distribution == "replika-broker"
        assert record.version == version("replika-broker")
        assert record.module == f"broker.builtin.{name}"


def test_two_distributions_with_one_name_are_both_found(install):
    install("acme", "", distribution="acme-one", module="acme_one")
    install("acme", "", distribution="acme-two", module="acme_two")

    assert sorted(record.distribution for record in discover()["acme"]) == ["acme-one", "acme-two"]
