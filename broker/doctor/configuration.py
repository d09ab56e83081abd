"""The config file and the tables in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from broker.config import Config, Problem, RefusedConfig, read_config
from broker.discovery import discover
from broker.doctor.finding import Finding, error, ok, warning
from broker.errors import BrokerError, ConfigError
from broker.loading import orphans
from broker.serving.tls import check_certificate
from broker.wording import dotted


def read(path: Path | None) -> tuple[Config, list[Finding]]:
    """Return the config, or what is sound of it, and all that is wrong with it but what is wrong
    with the tables of plugins that are installed."""
    try:
        config, problems = read_config(path), []
    except RefusedConfig as refused:
        config, problems = refused.config, [_problem(found) for found in refused.findings]
    except BrokerError as refused:
        return Config(), [error("config", "config", str(refused), exit_code=refused.exit_code)]
    problems += [_problem(orphan) for orphan in orphans(config, discover())]
    if not problems:
        return config, [ok("config", "config", str(config.path)), *_oddities(config)]
    return config, problems


def look_at_certificate(config: Config) -> Iterator[Finding]:
    """Check the certificate as a start does, but make none."""
    try:
        check_certificate(config)
    except ConfigError as refused:
        yield error("certificate", "server.tls", str(refused))
    else:
        if config.server.tls is not None:
            yield ok("certificate", "server.tls", "a start can use it")


def _oddities(config: Config) -> Iterator[Finding]:
    for line in config.warnings:
        where, _, what = line.partition(": ")
        yield warning("config", where, what)


def _problem(found: Problem) -> Finding:
    return error("config", dotted(found.path), found.text)
