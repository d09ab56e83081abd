"""What is installed, and what only looks as if it were."""

import platform
import sqlite3

import pytest

import broker

OURS = "Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n"


def test_versions_are_told(configure, doctor):
    configure("memory")
    [(_, _, _, versions), (_, _, _, sqlite)] = doctor("version", "sqlite")

    assert versions.startswith(f"replika-broker {broker.__version__} on CPython ")
    assert platform.python_version() in versions
    assert sqlite == sqlite3.sqlite_version


@pytest.mark.parametrize(
    ("version", "note"),
    [
        ((3, 51, 2), ", whose WAL needs a single writer, which is what storage_sqlite has"),
        ((3, 51, 3), ""),
    ],
)
def test_the_version_of_sqlite_matters_where_it_is_used(
    configure, doctor, monkeypatch, version, note
):
    monkeypatch.setattr(sqlite3, "sqlite_version_info", version)
    configure("storage_sqlite")
    [(level, _, _, text)] = doctor("sqlite")

    assert (level, text) == ("ok", f"{sqlite3.sqlite_version}{note}")


@pytest.mark.parametrize(
    "group",
    [
        "broker.plugin",
        "broker.plugins.v2",
        "broker_plugins",
        "Broker.Plugins",
        "replika-broker.plugins",
        "brokr.plugins",
        "broker.plugnis",
    ],
)
def test_a_group_that_looks_like_ours_is_named(site, configure, doctor, group):
    site.describe("acme-1.0", metadata=OURS, entry_points=f"[{group}]\nacme = acme_x\n")
    configure("memory")

    assert doctor() == [
        (
            "warning",
            "entry-point-group",
            "acme",
            f'"acme" in the group "{group}", which is not "broker.plugins"',
        )
    ]


@pytest.mark.parametrize(
    "group", ["console_scripts", "datasette", "broker", "pytest11", "a.plugins"]
)
def test_other_groups_are_none_of_our_business(site, configure, doctor, group):
    site.describe("acme-1.0", metadata=OURS, entry_points=f"[{group}]\nacme = acme_x\n")
    configure("memory")

    assert doctor() == []


def test_metadata_that_cannot_be_read_is_named(site, configure, doctor):
    site.describe("acme-1.0", metadata=OURS, entry_points=b"[broker.plugins]\nacme = \xff\n")
    configure("memory")

    [(level, check, subject, text)] = doctor()

    assert (level, check, subject) == ("warning", "metadata", "acme")
    assert text.startswith("its entry points cannot be read: UnicodeDecodeError: ")


@pytest.mark.parametrize(
    ("metadata", "lacks"),
    [("Name: acme\n", "Version"), ("Version: 1\n", "Name"), ("", "Name and no Version")],
)
def test_a_plugin_whose_distribution_lacks_name_or_version_is_named(
    site, configure, doctor, metadata, lacks
):
    site.describe("acme-1.0", metadata=metadata, entry_points="[broker.plugins]\nacme = acme_x\n")
    configure("memory")

    [(level, check, subject, text)] = doctor()

    assert (level, check) == ("warning", "metadata")
    assert subject.endswith("acme") or subject.endswith("acme-1.0.dist-info")
    assert text == f'plugin "acme": its metadata has no {lacks}'
