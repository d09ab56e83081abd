"""`broker plugins`: what is there, what it adds, and why the rest does nothing."""

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from broker.cli import cli

ACME = """
    import click
    import broker

    class Quiet(broker.Observer):
        def notify(self, events):
            pass

    @broker.hookimpl
    def provide_observer():
        return Quiet()

    @broker.hookimpl
    def register_commands(cli):
        print("this is mine")
        cli.add_command(click.Command("polish"))
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch, clean_environment):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def listed(folder):
    """The rows by name, with this in the table `[broker]`."""

    def listed(broker=""):
        Path("broker.toml").write_text(f"[broker]\n{broker}")
        done = CliRunner().invoke(cli, ["plugins", "--json"])
        assert done.exit_code == 0
        return {row["name"]: row for row in json.loads(done.stdout)}

    return listed


def test_a_plugin_that_works_is_told_with_all_it_adds(site, install, listed):
    install("acme", ACME)

    assert listed('plugins = ["acme"]')["acme"] == {
        "name": "acme",
        "enabled": True,
        "distribution": "acme-acme",
        "version": "1.0",
        "module": "acme_acme",
        "path": str(site.directory / "acme_acme.py"),
        "roles": ["observer"],
        "hooks": ["provide_observer", "register_commands"],
        "commands": ["polish"],
        "why_not": None,
    }


@pytest.mark.parametrize(
    ("name", "settings", "enabled", "why_not"),
    [
        ("acme", "", False, "installed, not listed in broker.plugins"),
        ("rest", "", True, None),
        ("rest", 'disable = ["rest"]', False, "built in, disabled by broker.disable"),
        ("memory", "", False, "fallback, used when no plugin provides a storage"),
        ("memory", 'plugins = ["memory"]', True, None),
        ("scopes", "", False, "fallback, used when no plugin provides an authorizer"),
        ("gone", 'plugins = ["gone"]', True, "listed in broker.plugins, but not installed"),
    ],
)
def test_what_does_nothing_is_told_with_the_reason(
    install, listed, name, settings, enabled, why_not
):
    install("acme", ACME)

    row = listed(settings)[name]

    assert (row["enabled"], row["why_not"]) == (enabled, why_not)


@pytest.mark.parametrize(
    ("registers", "why_not"),
    [
        ("1 / 0", 'hook "register_commands" failed: ZeroDivisionError'),
        ("raise SystemExit(3)", 'hook "register_commands" failed: SystemExit: 3'),
        ("cli.commands = 5", "TypeError"),
    ],
)
def test_commands_that_cannot_be_added_are_a_reason(install, listed, registers, why_not):
    install("acme", ACME.replace('print("this is mine")', registers))

    row = listed('plugins = ["acme"]')["acme"]

    assert row["why_not"].startswith("broken: ")
    assert why_not in row["why_not"]
    assert row["commands"] == []


@pytest.mark.parametrize(
    ("provides", "why_not"),
    [
        ("broker.Observer()", 'hook "provide_observer" failed: TypeError: Can\'t instantiate'),
        (
            "5",
            'hook "provide_observer" returned int; it must return an instance of broker.Observer',
        ),
    ],
)
def test_a_provider_that_cannot_be_built_is_a_reason(install, listed, provides, why_not):
    install("acme", ACME.replace("return Quiet()", f"return {provides}"))

    row = listed('plugins = ["acme"]')["acme"]

    assert row["why_not"].startswith(f'broken: plugin "acme": {why_not}')
    assert (row["roles"], row["commands"]) == (["observer"], ["polish"])


def test_what_is_built_is_not_opened(install, listed, folder):
    opens = "async def open(self):\n            open('opened', 'w')\n\n        def notify"
    install("acme", ACME.replace("def notify", opens))

    assert listed('plugins = ["acme"]')["acme"]["why_not"] is None
    assert {path.name for path in folder.iterdir()} == {"broker.toml", "site"}


def test_plugins_that_do_not_fit_together_are_told_beside_the_list(install, folder):
    storage = """
        from broker import hookimpl
        from broker.builtin.memory import MemoryStorage

        @hookimpl
        def provide_storage():
            return MemoryStorage()
    """
    install("acme", storage)
    Path("broker.toml").write_text('[broker]\nplugins = ["memory", "acme"]')

    done = CliRunner().invoke(cli, ["plugins", "--json"])

    assert {row["name"] for row in json.loads(done.stdout) if row["enabled"]} >= {"memory", "acme"}
    assert done.stderr == (
        'broker: plugins "memory", "acme" each provide the storage; '
        'choose one, broker.storage = "memory" for example\n'
    )


def test_each_of_two_distributions_has_a_row(install, folder):
    install("acme", ACME, distribution="acme-one", module="acme_one")
    install("acme", ACME, distribution="acme-two", module="acme_two")
    Path("broker.toml").write_text('[broker]\nplugins = ["acme"]')

    rows = json.loads(CliRunner().invoke(cli, ["plugins", "--json"]).stdout)

    twins = [row for row in rows if row["name"] == "acme"]
    assert [row["distribution"] for row in twins] == ["acme-one", "acme-two"]
    assert all("two distributions provide it" in row["why_not"] for row in twins)


def test_of_what_is_not_enabled_nothing_is_imported(site, listed, folder):
    package = site.directory / "canary" / "cage"
    package.mkdir(parents=True)
    for file in (package.parent / "__init__.py", package / "__init__.py", package / "bird.py"):
        file.write_text(f"open({str(folder / 'sung')!r}, 'w')\n")
    site.describe(
        "canary-1.0",
        metadata="Metadata-Version: 2.1\nName: canary\nVersion: 1.0\n",
        entry_points="[broker.plugins]\ncanary = canary.cage.bird:hooks\n",
    )

    row = listed()["canary"]

    assert row["path"] == str(package / "bird.py")
    assert (row["hooks"], row["roles"], row["commands"]) == ([], [], [])
    assert not (folder / "sung").exists()
    assert "canary" not in sys.modules


@pytest.mark.parametrize(
    "module", ["gone", "gone.deep", "json.gone", "json.decoder.x", "", ".", "a b"]
)
def test_a_module_that_is_not_there_has_no_path(site, listed, module):
    site.describe(
        "lost-1.0",
        metadata="Metadata-Version: 2.1\nName: lost\nVersion: 1.0\n",
        entry_points=f"[broker.plugins]\nlost = {module}\n",
    )

    assert listed()["lost"]["path"] is None


def test_a_config_that_is_refused_does_not_hide_what_is_installed(install, folder):
    install("acme", ACME)
    Path("broker.toml").write_text(
        '[broker]\nplugins = ["acme"]\nanonymous = 5\n[server]\nport = "x"'
    )

    done = CliRunner().invoke(cli, ["plugins", "--json"])

    assert "acme" in {row["name"] for row in json.loads(done.stdout) if row["enabled"]}
    assert [line for line in done.stderr.splitlines() if "mine" not in line][0] == (
        "broker: broker.toml: 2 problems"
    )


def test_in_a_pipe_it_is_a_line_each(install, folder):
    install("acme", ACME)
    Path("broker.toml").write_text('[broker]\nplugins = ["acme"]')

    done = CliRunner().invoke(cli, ["plugins"])

    [line] = [line for line in done.stdout.splitlines() if line.startswith("acme\t")]
    assert line.split("\t")[:4] == ["acme", "true", "acme-acme", "1.0"]
    assert "\x1b" not in done.stdout
    assert "this is mine" in done.stderr


def test_on_a_terminal_it_is_some_lines_each(install, folder, terminal, monkeypatch):
    from broker.cli.inventory import print_rows, take_inventory
    from broker.config import make_config

    install("acme", ACME, version="1.0\x1b[31m")
    rows = take_inventory(make_config({"broker": {"plugins": ["acme", "gone"]}}))
    monkeypatch.setattr("sys.stdout", terminal)
    print_rows(rows)

    paragraphs = terminal.getvalue().split("\n\n")
    [acme] = [text for text in paragraphs if text.startswith("acme")]
    first, distribution, path, adds = acme.splitlines()
    assert (first, distribution) == ("acme: enabled", "  acme-acme 1.0\\u001b[31m")
    assert path.endswith("acme_acme.py")
    assert adds == "  observer, broker polish"
    assert "gone: listed in broker.plugins, but not installed" in terminal.getvalue().splitlines()
