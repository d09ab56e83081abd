"""`broker doctor`: what is wrong with an installation, and what to do about it.

Each module looks at one side of it; a check is a function that yields findings. None may keep the
others from looking, whatever a plugin does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from broker.config import Config
from broker.doctor.checks import CHECKS, Check
from broker.doctor.configuration import look_at_certificate, read
from broker.doctor.files import is_foreign, look_at_disk, look_at_modes, look_at_owner
from broker.doctor.finding import Finding, error, warning
from broker.doctor.installation import look_at_metadata, look_at_versions
from broker.doctor.opening import run, try_providers
from broker.doctor.plugins import look_at_plugins
from broker.doctor.requirements import look_at_requirements
from broker.doctor.roles import look_at_roles, put_together
from broker.doctor.safety import look_at_http_server, look_at_the_door
from broker.doctor.secrets import look_at_secrets
from broker.loading import inspect_plugins
from broker.plugins import Plugin
from broker.wording import described

__all__ = ["CHECKS", "Check", "Finding", "examine"]


def examine(path: Path | None, *, seconds: float) -> list[Finding]:
    """Look at everything; whatever is wrong is in the findings, and nothing is raised.

    Each step of a provider may take so many seconds: a start waits longer, a person does not.
    """
    config, read_findings = read(path)
    attempts = inspect_plugins(config)
    findings = [
        *_looked(look_at_versions, config),
        *_looked(look_at_metadata),
        *_looked(look_at_requirements, [attempt.record for attempt in attempts]),
        *_looked(look_at_plugins, config, attempts),
        *read_findings,
    ]
    if config.path is not None:  # else it could not even be read
        plugins = [attempt.plugin for attempt in attempts if attempt.plugin is not None]
        findings += _looked(look_at_certificate, config)
        findings += _safety(config, plugins)
    if any(finding.level == "error" for finding in read_findings):
        text = "nothing was opened, because the config is refused"
        return [*findings, warning("not-opened", "providers", text)]
    assembly, problems = put_together(config, attempts)
    findings += problems
    if assembly is None:
        text = "nothing was opened, because the plugins do not fit together"
        return [*findings, warning("not-opened", "providers", text)]
    findings += _looked(look_at_roles, config, assembly)
    if is_foreign(config.broker.data_dir):
        text = "nothing was opened: its files would belong to root, and be of no use to the broker"
        return [*findings, warning("not-opened", "providers", text, CHECKS["owner"].remedy)]
    return [*findings, *_looked(run, try_providers(assembly, seconds))]


def _safety(config: Config, plugins: Sequence[Plugin]) -> list[Finding]:
    return [
        *_looked(look_at_the_door, config),
        *_looked(look_at_http_server, config),
        *_looked(look_at_secrets, config, plugins),
        *_looked(look_at_modes, config, plugins),
        *_looked(look_at_owner, config),
        *_looked(look_at_disk, config),
    ]


def _looked(look: Callable[..., Iterable[Finding]], *subjects: object) -> list[Finding]:
    """Return what a check finds, and if it fails, that it did."""
    findings: list[Finding] = []
    try:
        findings.extend(look(*subjects))
    # An isolation point: whatever an environment can make a check stumble over.
    except Exception as failure:  # noqa: BLE001  # see above
        name = getattr(look, "__name__", "")
        findings.append(error("doctor", name, described(failure), exit_code=1))
    return findings
