"""Whether distributions that are in use get what they require."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from typing import Literal

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion

from broker.discovery import PluginRecord, told
from broker.doctor.finding import Finding, ok, warning

CORE = "replika-broker"


def look_at_requirements(records: Iterable[PluginRecord]) -> Iterator[Finding]:
    """Compare what the distributions of plugins require with what is installed."""
    names = sorted({record.distribution for record in records if record.distribution})
    problems = [problem for name in names for problem in _unmet(distribution(name))]
    text = f"all that {len(names)} distributions require is installed"
    yield from problems or [ok("requirement", "plugins", text)]


def _unmet(requiring: Distribution) -> Iterator[Finding]:
    name = told(requiring, "Name")
    for line in requiring.requires or ():
        try:
            requirement = Requirement(line)
        except InvalidRequirement as error:
            yield warning("requirement", name, f"what it requires cannot be read: {error}")
            continue
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield from _compare(name, requirement)


def _compare(name: str, requirement: Requirement) -> Iterator[Finding]:
    wanted = f"{requirement.name}{requirement.specifier}"
    check: Literal["core-version", "requirement"] = "requirement"
    if canonicalize_name(requirement.name) == CORE:
        check = "core-version"
    remedy = f"pip install '{wanted}'"
    if check == "core-version":
        remedy = f"install versions that fit together: pip install --upgrade {CORE} {name}"
    try:
        installed = told(distribution(requirement.name), "Version")
        fits = requirement.specifier.contains(installed, prereleases=True)
    except PackageNotFoundError:
        yield warning(check, name, f"it requires {wanted}, which is not installed", remedy)
    except InvalidVersion:
        yield warning(check, name, f"it requires {wanted}; installed is one of no version", remedy)
    else:
        if not fits:
            text = f"it requires {wanted}; {installed} is installed"
            yield warning(check, name, text, remedy)
