"""Loading the plugins that are enabled, and finding all that is wrong with any of them.

Installed is not enabled: nothing is imported but what the config lists and the built-ins that
are on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import EntryPoint
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any, Literal

import msgspec
import pluggy
from pydantic import BaseModel

from broker import hookspecs
from broker.alarm import alarm
from broker.config import Config, Problem, RefusedConfig, bind, read_config, refusal
from broker.discovery import GROUP, PluginRecord, discover
from broker.errors import PluginError, StartupError
from broker.hookimpls import find_faults
from broker.plugins import DEBUG, Plugin
from broker.wording import described, did_you_mean, quoted, shown

INSPECT_SECONDS = 30.0
"""How long a plugin may take to be imported and configured while it is only inspected."""


def load(config: Config, *, added: Mapping[str, object] | None = None) -> list[Plugin]:
    """Import, check and configure the enabled plugins, in their order.

    `added` are plugins that no distribution brings, by name: modules, or objects with hook
    implementations as methods. Raises PluginError if one thing is wrong with one plugin;
    ConfigError, a line for each, if more is wrong.
    """
    installed, added = discover(), added or {}
    attempts = [_attempt(name, config, installed, added) for name in config.enabled]
    found = [finding for attempt in attempts for finding in attempt.findings]
    _refuse(config, [*found, *orphans(config, installed)])
    return [attempt.plugin for attempt in attempts if attempt.plugin is not None]


def load_one(name: str, config: Config | None = None) -> Plugin:
    """Import, check and configure one plugin, enabled or not: a fallback, for example."""
    config = config or Config()
    attempt = _attempt(name, config, discover())
    _refuse(config, attempt.findings)
    assert attempt.plugin is not None
    return attempt.plugin


def read_whole_config(
    path: Path | None = None, *, overrides: Mapping[str, Any] | None = None
) -> Config:
    """Read the config as `read_config` does, but a refusal tells of the plugins' problems too.

    Somebody who mends a config wants to hear everything at once. The plugins are imported here
    only if the config is refused; otherwise `load` reports what is wrong with them.
    """
    try:
        return read_config(path, overrides=overrides)
    except RefusedConfig as error:
        config, installed = error.config, discover()
        attempts = [_attempt(name, config, installed) for name in config.enabled]
        found = [finding for attempt in attempts for finding in attempt.findings]
        unowned = orphans(config, installed)
        raise refusal(config, [*error.findings, *found, *unowned]) from error


def inspect_plugins(config: Config) -> list[Attempt]:
    """Return what came of loading each enabled plugin; raises nothing, whatever they do.

    For `broker plugins`, `doctor` and `--help`, which must work when a plugin does not.
    """
    installed = discover()
    return [_inspect(name, config, installed) for name in config.enabled]


Stage = Literal["not-installed", "duplicate", "import", "hooks", "plugin-config"]
"""How far loading a plugin came; `broker doctor` has a check of the same name for each."""


class Attempt(msgspec.Struct, kw_only=True):
    """What came of loading a plugin: `plugin`, or `findings` that belong to `stage`."""

    record: PluginRecord
    stage: Stage
    plugin: Plugin | None = None
    findings: list[Problem | StartupError] = msgspec.field(default_factory=list)


def _inspect(
    name: str, config: Config, installed: Mapping[str, tuple[PluginRecord, ...]]
) -> Attempt:
    try:
        with alarm(INSPECT_SECONDS):
            return _attempt(name, config, installed)
    except KeyboardInterrupt:
        raise
    # An isolation point: also a module that merely is looked at can do anything.
    except BaseException as error:  # noqa: BLE001  # see above
        failure = PluginError(name, f"cannot be looked at: {described(error)}; {DEBUG}")
        return Attempt(record=installed[name][0], stage="hooks", findings=[failure])


def _attempt(
    name: str,
    config: Config,
    installed: Mapping[str, tuple[PluginRecord, ...]],
    added: Mapping[str, object] = MappingProxyType({}),
) -> Attempt:
    records = installed.get(name, ())
    if name in added:
        records = (PluginRecord(name=name, module=_module_of(added[name])),)
    if not records:
        missing = _not_installed(name, config, list(installed))
        record = PluginRecord(name=name)
        return Attempt(record=record, stage="not-installed", findings=[missing])
    attempt = Attempt(record=records[0], stage="import")
    if len(records) > 1:
        attempt.stage = "duplicate"
        names = " and ".join(f"{shown(r.distribution)} {r.version}" for r in records)
        problem = f"two distributions provide it: {names}; uninstall one"
        attempt.findings.append(PluginError(name, problem))
        return attempt
    try:
        module = added[name] if name in added else _import(records[0])
        attempt.stage = "hooks"
        plugin = _check(records[0], module, attempt.findings)
        if plugin is not None:
            attempt.record = plugin.record
            schema = plugin.call("config_schema")
            attempt.stage = "plugin-config"
            attempt.findings += _configure(plugin, schema, config)
            attempt.plugin = plugin
    except StartupError as error:
        attempt.findings.append(error)
    return attempt


def _not_installed(name: str, config: Config, installed: Sequence[str]) -> Problem | PluginError:
    if name not in config.broker.plugins:
        return PluginError(name, "not installed, though it is built in; reinstall replika-broker")
    path = ("broker", "plugins", config.broker.plugins.index(name))
    hint = did_you_mean(name, installed) or "; install it, or remove it here"
    source = config.layers.source(path)
    text = f"plugin {shown(name)} is not installed{hint} (installed: {quoted(installed)}){source}"
    return Problem(path, text)


def orphans(config: Config, installed: Mapping[str, object]) -> list[Problem]:
    """Return the tables of plugins that are not even installed: a misspelt name, most likely."""
    found = []
    for name in config.plugins:
        if name not in installed and name not in config.broker.plugins:
            path = ("plugins", name)
            hint = did_you_mean(name, list(installed)) or f"; installed are {quoted(installed)}"
            source = config.layers.source(path)
            found.append(Problem(path, f"no such plugin is installed{hint}{source}"))
    return found


def _module_of(plugin: object) -> str:
    return plugin.__name__ if isinstance(plugin, ModuleType) else type(plugin).__module__


def _import(record: PluginRecord) -> object:
    entry = EntryPoint(name=record.name, value=record.module, group=GROUP)
    try:
        module: object = entry.load()
    except KeyboardInterrupt:
        raise
    # An isolation point: a module may raise anything, and even try to exit, when it is imported.
    except BaseException as error:
        text = f"import of {record.module} failed: {described(error)}; {DEBUG}"
        raise PluginError(record.name, text) from error
    return module


def _check(
    record: PluginRecord, module: object, findings: list[Problem | StartupError]
) -> Plugin | None:
    """Return the plugin whose hooks a module implements, unless something is wrong with them."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    faults = find_faults(module, manager)
    findings += [PluginError(record.name, fault) for fault in faults]
    return None if faults else Plugin(record, module, manager)


def _configure(plugin: Plugin, schema: type[BaseModel] | None, config: Config) -> list[Problem]:
    path = ("plugins", plugin.name)
    table = config.plugins.get(plugin.name, {})
    if schema is None:
        return [Problem(path, "the plugin takes no config; remove the table")] if table else []
    plugin.config, problems = bind(schema, table, at=path, layers=config.layers)
    return problems


def _refuse(config: Config, findings: Sequence[Problem | StartupError]) -> None:
    if findings:
        causes = (f.__cause__ for f in findings if isinstance(f, StartupError) and f.__cause__)
        raise refusal(config, findings) from next(causes, None)
