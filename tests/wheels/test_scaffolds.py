"""What `broker plugin new` writes, used as strangers do: from wheels, without the checkout."""

import re
import shutil
import sys

import pytest
from environments import ROOT, Environment, build, execute

from broker.scaffold.roles import ROLES

pytestmark = pytest.mark.timeout(900)

EXAMPLES = sorted(path.parent for path in ROOT.glob("examples/*/pyproject.toml"))

SMALLER = """
from broker.testing import StorageContract
StorageContract.race_messages = StorageContract.crowd_messages = 1000
"""
"""A storage's crowds; those of the whole contract are the business of its own tests."""


def try_wheel(core, project, tmp_path, *options, extra=""):
    """Install the wheel of a project beside the core's, run its tests far from its sources, and
    return what pytest told."""
    wheel = build(project, tmp_path / "wheel")
    name = wheel.name.partition("-")[0]
    environment = Environment(tmp_path / "environment")
    environment.make(beside=core)
    environment.install(*options, f"{name}{extra} @ {wheel.as_uri()}")
    away = tmp_path / "away"
    shutil.copytree(project, away, ignore=shutil.ignore_patterns(name, "__pycache__"))
    (away / "conftest.py").write_text(SMALLER)
    options = ["-m", "pytest", "-q", "-p", "no:cacheprovider"]
    return environment.run("python", *options, cwd=away, BROKER_MACHINE_EXAMPLES="20")


def check(project, *command):
    done = execute(sys.executable, "-m", *command, cwd=project)
    assert done.returncode == 0, done.stdout + done.stderr


def kept(told):
    """The contracts that a run of pytest says are kept."""
    assert "breaks contract" not in told
    return re.findall(r"::Test(\w+) keeps contract 1\.0: \d+ passed", told)


def test_the_environment_has_nothing_of_the_checkout(core, tmp_path):
    found = core.run("python", "-c", "import broker, sys; print(broker, *sys.path)", cwd=tmp_path)

    assert str(ROOT) not in found


@pytest.fixture(scope="session")
def mypy_cache(tmp_path_factory):
    return tmp_path_factory.mktemp("mypy")


@pytest.mark.parametrize("role", ROLES)
def test_a_scaffold_keeps_its_contract_from_the_first_minute(core, tmp_path, role):
    core.run("broker", "plugin", "new", "rate-card", "--role", role, cwd=tmp_path)
    project = tmp_path / "broker-rate-card"

    told = try_wheel(core, project, tmp_path, "--no-index", extra="[test]")

    assert f"RateCard{ROLES[role].base}" in kept(told)


@pytest.mark.parametrize("role", ROLES)
def test_a_scaffold_is_clean(core, tmp_path, mypy_cache, role):
    core.run("broker", "plugin", "new", "rate-card", "--role", role, cwd=tmp_path)
    project = tmp_path / "broker-rate-card"

    house = ["--config", ROOT / "pyproject.toml", "--ignore", "ARG002"]  # hooks say which arguments
    for options in ([], house):
        check(project, "ruff", "check", "--no-cache", *options)
    check(project, "ruff", "format", "--no-cache", "--check")
    types = ["--python-executable", core.python, "--cache-dir", mypy_cache]
    check(project, "mypy", *types, "broker_rate_card", "tests")


@pytest.mark.parametrize("project", EXAMPLES, ids=lambda project: project.name)
def test_an_example_keeps_its_contract(core, tmp_path, project):
    assert kept(try_wheel(core, project, tmp_path))
