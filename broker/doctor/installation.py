"""What is installed: Python, the core, and distributions with their metadata."""

from __future__ import annotations

import difflib
import platform
import re
import sqlite3
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, version

from broker.config import Config
from broker.discovery import GROUP, survey, told
from broker.doctor.finding import Finding, ok, warning
from broker.wording import quoted, shown

SQLITE_WITH_SAFE_WAL = (3, 51, 3)

ALIKE = 0.85
"""How alike the name of a group must be to be taken for a misspelt one of ours."""


def look_at_versions(config: Config) -> Iterator[Finding]:
    """Tell on what the broker runs."""
    python = f"{platform.python_implementation()} {platform.python_version()}"
    core = f"replika-broker {version('replika-broker')}"
    yield ok("version", "broker", f"{core} on {python}, {sys.platform} {platform.machine()}")
    text = sqlite3.sqlite_version
    if "storage_sqlite" in config.enabled and sqlite3.sqlite_version_info < SQLITE_WITH_SAFE_WAL:
        text += ", whose WAL needs a single writer, which is what storage_sqlite has"
    yield ok("sqlite", "SQLite", text)


def look_at_metadata() -> Iterator[Finding]:
    """Find distributions whose metadata hides what they bring, or brings it to nobody."""
    for distribution, entries, problem in survey():
        name = _name(distribution)
        if problem:
            yield warning("metadata", name, f"its entry points cannot be read: {problem}")
            continue
        ours = [entry.name for entry in entries if entry.group == GROUP]
        missing = [key for key in ("Name", "Version") if not told(distribution, key)]
        if ours and missing:
            lacks = " and no ".join(missing)
            yield warning("metadata", name, f"plugin {quoted(ours)}: its metadata has no {lacks}")
        for group in sorted({entry.group for entry in entries if _looks_like_ours(entry.group)}):
            names = quoted(entry.name for entry in entries if entry.group == group)
            text = f"{names} in the group {shown(group)}, which is not {shown(GROUP)}"
            yield warning("entry-point-group", name, text)


def _name(distribution: Distribution) -> str:
    return told(distribution, "Name") or str(getattr(distribution, "_path", "a distribution"))


def _looks_like_ours(group: str) -> bool:
    if group == GROUP:
        return False
    bare = re.sub(r"[^a-z0-9]", "", group.lower()).removeprefix("replika")
    alike = difflib.SequenceMatcher(a=group.lower(), b=GROUP).ratio()
    return bare.startswith("brokerplugin") or alike >= ALIKE
