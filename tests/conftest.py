"""Throw-away plugins, real distributions found and imported as installed ones are; a terminal."""

import importlib
import io
import sys
import textwrap
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest


class Terminal(io.StringIO):
    """What keeps all that is written to a terminal."""

    def isatty(self):
        return True


class Site:
    """A directory on `sys.path` into which a test installs distributions."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir()

    def install(
        self,
        name: str,
        source: str,
        *,
        distribution: str | None = None,
        version: str = "1.0",
        module: str | None = None,
    ) -> None:
        """Install a plugin whose module has this source."""
        distribution = distribution or f"acme-{name.replace('_', '-')}"
        module = module or f"acme_{name}"
        folder = distribution.replace("-", "_")
        self.describe(
            f"{folder}-{version}",
            metadata=f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n",
            entry_points=f"[broker.plugins]\n{name} = {module}\n",
        )
        (self.directory / f"{module}.py").write_text(textwrap.dedent(source))
        importlib.invalidate_caches()

    def describe(
        self, folder: str, *, entry_points: str | bytes, metadata: str | bytes = ""
    ) -> None:
        """Write the metadata of a distribution, whatever that says; without any, leave it out."""
        info = self.directory / f"{folder}.dist-info"
        info.mkdir()
        for name, content in (("METADATA", metadata), ("entry_points.txt", entry_points)):
            if content:
                content = content.encode() if isinstance(content, str) else content
                (info / name).write_bytes(content)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A place for throw-away plugins; what was imported from it is forgotten afterwards."""
    site = Site(tmp_path / "site")
    monkeypatch.syspath_prepend(str(site.directory))
    yield site
    for name, module in list(sys.modules.items()):
        if str(site.directory) in (getattr(module, "__file__", None) or ""):
            del sys.modules[name]


@pytest.fixture
def install(site: Site) -> Callable[..., None]:
    """Install a plugin: `install(name, source)`."""
    return site.install


@pytest.fixture
def cheap_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """To hash a password costs next to nothing."""
    from broker_auth_jwt import parts, passwords
    from pwdlib import PasswordHash
    from pwdlib.hashers.argon2 import Argon2Hasher

    cheap = PasswordHash((Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1),))
    monkeypatch.setattr(passwords, "NOBODY", cheap.hash("nobody"))
    monkeypatch.setattr(parts, "Passwords", partial(passwords.Passwords, cheap))


@pytest.fixture
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of the machine's own environment has a say."""
    import os

    for name in list(os.environ):
        if name.upper().startswith(("BROKER__", "BROKER_")):
            monkeypatch.delenv(name)


@pytest.fixture
def terminal(monkeypatch):
    """A terminal of 80 columns, whatever the tests run in."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    return Terminal()
