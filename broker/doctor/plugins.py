"""Every plugin that is installed or listed: whether it loads, and what is wrong if it does not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from broker.config import Config
from broker.config.settings import FALLBACKS
from broker.discovery import PluginRecord, discover
from broker.doctor.finding import Finding, error, ok, warning
from broker.loading import Attempt


def look_at_plugins(config: Config, attempts: Sequence[Attempt]) -> Iterator[Finding]:
    """Tell what became of those that are enabled, then which others are there."""
    for attempt in attempts:
        yield from _enabled(attempt)
    yield from _others(config, discover())


def _enabled(attempt: Attempt) -> Iterator[Finding]:
    record, subject = attempt.record, attempt.record.name
    for found in attempt.findings:
        yield error(attempt.stage, subject, str(found))
    if attempt.plugin is not None and not attempt.findings:
        roles = ", ".join(record.roles) or "no role"
        yield ok("plugin", subject, f"{record.distribution} {record.version}: {roles}")


def _others(config: Config, installed: Mapping[str, tuple[PluginRecord, ...]]) -> Iterator[Finding]:
    for name, records in installed.items():
        if name in config.enabled:
            continue
        brought_by = " and ".join(f"{r.distribution} {r.version}" for r in records)
        if len(records) > 1:
            yield warning("duplicate", name, f"two distributions provide it: {brought_by}")
        elif name in FALLBACKS:
            yield ok("plugin", name, f"{brought_by}: used if no other does its work")
        else:
            yield ok("plugin", name, f"{brought_by}: installed, not enabled")
