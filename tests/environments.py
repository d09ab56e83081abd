"""Environments outside the checkout, into which wheels are installed as their users would."""

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OWN = ("BROKER", "PYTEST", "PYTHON", "XDG_CONFIG_HOME", "VIRTUAL_ENV")
"""Variables of this run of the tests, which are no business of the environments."""


class Environment:
    """A virtual environment; one made `beside` another has what is installed there, too."""

    def __init__(self, folder):
        self._folder = folder
        self.bin = folder / "bin"

    def make(self, *, beside=None):
        """Make it, empty but for Python."""
        venv.create(self._folder, with_pip=False, symlinks=True)
        if beside is not None:
            (self.packages / "beside.pth").write_text(f"{beside.packages}\n")

    @property
    def packages(self):
        """Where what is installed here lies."""
        [found] = self._folder.glob("lib/python*/site-packages")
        return found

    @property
    def python(self):
        return self.bin / "python"

    def install(self, *what):
        """Install what pip calls requirements, at the versions that the tests are run with.

        Skips the test if that takes an index of packages, and none answers.
        """
        pip = [sys.executable, "-m", "pip", "--python", self.python, "--disable-pip-version-check"]
        options = ["--constraint", ROOT / "constraints.txt", "--quiet", "--retries", "1"]
        done = execute(*pip, "install", *options, *what)
        if "Retrying (Retry(" in done.stderr and done.returncode:
            pytest.skip("no index of packages can be reached from here")
        assert done.returncode == 0, done.stdout + done.stderr

    def run(self, command, *arguments, cwd, **variables):
        """Run a command of this environment; return what it told, or fail with that."""
        done = execute(self.bin / command, *arguments, cwd=cwd, **variables)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def execute(*command, cwd=None, **variables):
    """Run a command without the variables of this run, but for those given."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(OWN)}
    return subprocess.run(
        command, cwd=cwd, env={**environment, **variables}, capture_output=True, text=True
    )


def build(project, folder):
    """Build the wheel of a project, and return it."""
    options = ["--wheel", "--no-isolation", "--outdir", folder]
    done = execute(sys.executable, "-m", "build", *options, project)
    assert done.returncode == 0, done.stdout + done.stderr
    [wheel] = folder.glob("*.whl")
    return wheel
