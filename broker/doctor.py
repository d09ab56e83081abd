"""What `broker doctor` looks at."""

from __future__ import annotations

import logging
import platform
import sqlite3
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from broker.assembly import assemble
from broker.config import read_config
from broker.errors import BrokerError, StorageLocked
from broker.lifecycle import Lifecycle
from broker.plugins import inspect_plugins
from broker.safety import is_loopback, refuse_open_door
from broker.serving import server_named
from broker.serving.tls import check_certificate

if TYPE_CHECKING:
    from broker.assembly import Assembly
    from broker.config import Config
    from broker.provider import Provider

SQLITE_WITH_SAFE_WAL = (3, 51, 3)


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at."""

    level: Literal["ok", "warning", "error"]
    subject: str
    text: str
    exit_code: int = 0


async def examine(path: Path | None) -> list[Finding]:
    """Look at everything; report what is wrong with it instead of raising."""
    findings = [_versions(), _sqlite()]
    try:
        config = read_config(path)
    except BrokerError as error:
        return [*findings, _error("config", error)]
    findings.append(Finding("ok", "config", str(config.path)))
    findings += [Finding("warning", "config", warning) for warning in config.warnings]
    findings += _plugins(config)
    findings += _http_server(config)
    try:
        refuse_open_door(config, insecure=False)
        server_named(config.server.http_server)
        check_certificate(config)
        assembly = assemble(config)
    except BrokerError as error:
        if not any(finding.level == "error" for finding in findings):
            findings.append(_error("assembly", error))
        return findings
    new = [warning for warning in assembly.warnings if warning not in config.warnings]
    findings += [Finding("warning", "assembly", warning) for warning in new]
    return [*findings, *await _providers(assembly)]


def _versions() -> Finding:
    text = f"replika-broker {version('replika-broker')} on Python {platform.python_version()}"
    return Finding("ok", "broker", f"{text}, {sys.platform}")


def _sqlite() -> Finding:
    safe = sqlite3.sqlite_version_info >= SQLITE_WITH_SAFE_WAL
    note = "" if safe else " (its WAL needs a single writer, which is what the plugin has)"
    return Finding("ok", "sqlite", f"SQLite {sqlite3.sqlite_version}{note}")


def _http_server(config: Config) -> list[Finding]:
    if config.server.http_server != "granian" or is_loopback(config.server.host):
        return []
    text = (
        "granian keeps a client that says nothing after the TLS handshake, or over HTTP/2, for as "
        "long as it likes, and of a message of a WebSocket up to 64 MiB; where strangers reach "
        'the broker, put a proxy in front, or set server.http_server = "hypercorn"'
    )
    return [Finding("warning", "server", text)]


def _plugins(config: Config) -> list[Finding]:
    findings = []
    for record, problem in inspect_plugins(config):
        subject = f"plugin {record.name}"
        if problem is None:
            text = f"{record.distribution} {record.version}: {', '.join(record.hooks)}"
            findings.append(Finding("ok", subject, text))
        else:
            findings.append(Finding("error", subject, problem, 78))
    return findings


async def _providers(assembly: Assembly) -> list[Finding]:
    findings = []
    for name, provider in assembly.providers.in_order():
        findings += await _provider(name, provider)
    return findings


async def _provider(name: str, provider: Provider) -> list[Finding]:
    subject = type(provider).__name__
    overheard = _Overheard()
    logger = logging.getLogger("broker")
    logger.addHandler(overheard)
    try:
        async with Lifecycle() as lifecycle:
            await lifecycle.open(name, provider)
            await provider.ping()
    except StorageLocked as error:
        return [Finding("warning", subject, f"{error}")]
    except BrokerError as error:
        return [_error(subject, error)]
    except Exception as error:  # noqa: BLE001  # whatever it raises is what is to be told
        return [Finding("error", subject, f"ping failed: {type(error).__name__}: {error}", 1)]
    finally:
        logger.removeHandler(overheard)
    if overheard.lines:
        return [Finding("warning", subject, line) for line in overheard.lines]
    return [Finding("ok", subject, f"plugin {name}: opened, answered, closed")]


class _Overheard(logging.Handler):
    """What is warned of in the log, of which `doctor` shows nothing else."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the line."""
        self.lines.append(record.getMessage())


def _error(subject: str, error: BrokerError) -> Finding:
    return Finding("error", subject, str(error), error.exit_code)
