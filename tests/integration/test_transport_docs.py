"""docs/writing-a-transport.md is followed by a stranger: its files are written down as they stand,
and its tests are run beside what is installed."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from pages import blocks, matches

PAGE = (Path(__file__).parents[2] / "docs" / "writing-a-transport.md").read_text()


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    folder = tmp_path_factory.mktemp("broker-plain")
    for block in blocks(PAGE, "python"):
        name, _, text = block.partition("\n")
        path = folder / name.removeprefix("# ")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    [manifest] = blocks(PAGE, "toml")
    (folder / "pyproject.toml").write_text(manifest)
    return folder


def run(package, *command):
    environment = {key: value for key, value in os.environ.items() if "BROKER" not in key}
    return subprocess.run(
        [sys.executable, *command],
        cwd=package,
        env={**environment, "PYTHONPATH": "."},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    ).stdout


def test_its_transports_keep_the_contract_and_pass_their_tests(package):
    printed = run(package, "-m", "pytest", "-p", "no:cacheprovider", "-W", "error", "tests")

    assert " failed" not in printed, printed
    for shown in blocks(PAGE, "text"):
        assert any(matches(shown, line) for line in printed.splitlines()), printed


def test_its_plugin_is_found_and_enabled_by_its_name(package):
    project = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    info = package / f"broker_plain-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    found = project["entry-points"]["broker.plugins"]
    lines = [f"{name} = {module}" for name, module in found.items()]
    (info / "entry_points.txt").write_text("\n".join(["[broker.plugins]", *lines]))
    (package / "broker.toml").write_text('[broker]\nplugins = ["plain"]\n')

    printed = run(package, "-m", "broker", "config", "check", "--config", "broker.toml")

    assert "plugins plain 1.0" in printed
