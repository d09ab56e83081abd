"""Which plugins are installed: read from the metadata of distributions, importing nothing.

Whatever is in the same environment can have metadata that cannot be read; it hides nobody else.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import Distribution, EntryPoint, distributions, entry_points

import msgspec

from broker.wording import described

GROUP = "broker.plugins"


class PluginRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a plugin without running it, and its hooks once it is loaded."""

    name: str
    distribution: str = ""
    version: str = ""
    module: str = ""
    hooks: tuple[str, ...] = ()

    @property
    def roles(self) -> tuple[str, ...]:
        """What it may provide, by its hooks: `rate-limiter`, for example."""
        provided = (hook.partition("provide_")[2] for hook in self.hooks)
        return tuple(role.replace("_", "-") for role in provided if role)


def discover() -> dict[str, tuple[PluginRecord, ...]]:
    """Return every installed plugin by name, importing none; two records if two distributions
    claim one name."""
    found: dict[str, tuple[PluginRecord, ...]] = {}
    for entry in sorted(_entries(), key=lambda entry: entry.name):
        record = PluginRecord(
            name=entry.name,
            distribution=told(entry.dist, "Name"),
            version=told(entry.dist, "Version"),
            module=entry.value,
        )
        found[entry.name] = (*found.get(entry.name, ()), record)
    return found


def survey() -> Iterator[tuple[Distribution, tuple[EntryPoint, ...], str]]:
    """Yield each installed distribution with its entry points, or why they cannot be read."""
    seen = set()
    for found in distributions():
        name = told(found, "Name").lower().replace("_", "-")
        if name and name in seen:
            continue  # one that stands before it on the path is imported instead
        seen.add(name)
        try:
            yield found, tuple(found.entry_points), ""
        # Whatever stands in the file, and whatever the library makes of it.
        except Exception as error:  # noqa: BLE001  # see above
            yield found, (), described(error)


def told(distribution: Distribution | None, key: str) -> str:
    """Return what a distribution's metadata says under a key; nothing if it does not."""
    try:
        metadata = None if distribution is None else distribution.metadata
        return metadata[key] if metadata is not None and key in metadata else ""
    except Exception:  # noqa: BLE001  # metadata that cannot be read says nothing
        return ""


def _entries() -> list[EntryPoint]:
    try:
        return list(entry_points(group=GROUP))
    # One file that cannot be read makes the library fail for all; going round it costs more.
    except Exception:  # noqa: BLE001  # see above
        return [entry for _, entries, _ in survey() for entry in entries if entry.group == GROUP]
