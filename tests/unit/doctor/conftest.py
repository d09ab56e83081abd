"""A folder with a config, and what the doctor finds there."""

from pathlib import Path
from typing import NamedTuple

import pytest

from broker.doctor import CHECKS, examine


class Found(NamedTuple):
    """A finding without its remedy, which another test looks at."""

    level: str
    check: str
    subject: str
    text: str


@pytest.fixture
def folder(tmp_path, monkeypatch, clean_environment):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def configure(folder):
    """Write a config: `configure("acme", server="port = 1", tables="[plugins.acme]\\n…")`."""

    def configure(*plugins, server="", broker="", tables=""):
        path = Path("broker.toml")
        path.touch(0o600)
        path.write_text(
            f"[server]\n{server}\n[broker]\nanonymous = true\n{broker}\n"
            f"plugins = {list(plugins)}\n{tables}\n"
        )
        return path

    return configure


@pytest.fixture
def doctor(folder):
    """Examine the folder: the findings that are not ok, or those of the checks that are named."""

    def doctor(*checks, seconds=60):
        findings = examine(None, seconds=seconds)
        for finding in findings:
            assert finding.check in CHECKS
            assert bool(finding.remedy) == (finding.level != "ok"), finding
            assert bool(finding.exit_code) == (finding.level == "error"), finding
        return [
            Found(f.level, f.check, f.subject, f.text)
            for f in findings
            if (f.check in checks if checks else f.level != "ok")
        ]

    return doctor
