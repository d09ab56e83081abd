"""Finding plugins, loading those that are enabled, and naming the one that fails.

Installed is not enabled: nothing is imported but what the config lists and the built-ins that
are on. Each plugin has a pluggy manager of its own, so no plugin can get in another's way and
every failure has a name.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pluggy
from pydantic import BaseModel

from broker import hookspecs
from broker.auth import Authenticator, Authorizer
from broker.config import Config, Problem, RefusedConfig, bind, read_config, refusal
from broker.errors import ConfigError, PluginError, StartupError
from broker.extend import Interceptor, Observer, Transport
from broker.hookimpls import find_faults, implementations
from broker.ratelimit import RateLimiter
from broker.storage import Storage
from broker.wording import described, did_you_mean, quoted, shown

GROUP = "broker.plugins"

DEBUG = "--debug shows the traceback"

RESULTS: dict[str, type] = {
    "provide_storage": Storage,
    "provide_rate_limiter": RateLimiter,
    "provide_authenticator": Authenticator,
    "provide_authorizer": Authorizer,
    "provide_interceptor": Interceptor,
    "provide_observer": Observer,
    "provide_transport": Transport,
    "provide_lifespan": AbstractAsyncContextManager,
}


class PluginRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a plugin without running it, and its hooks once it is loaded."""

    name: str
    distribution: str = ""
    version: str = ""
    module: str = ""
    hooks: tuple[str, ...] = ()


class Plugin:
    """A loaded plugin: its record, its validated config, and its hooks."""

    def __init__(self, record: PluginRecord, module: object, manager: pluggy.PluginManager) -> None:
        found = implementations(module, manager)
        self.record = msgspec.structs.replace(record, hooks=tuple(hook for hook, _, _ in found))
        self.config: BaseModel | None = None
        self._manager = manager
        manager.register(module, record.name)

    @property
    def name(self) -> str:
        """The name of its entry point, by which the config knows it."""
        return self.record.name

    def call(self, hook: str, **kwargs: Any) -> Any:
        """Call this plugin's implementation of a hook; None if it has none.

        Raises PluginError for whatever goes wrong in it, with the cause, and for a result of the
        wrong type. A StartupError that it raises passes as it is.
        """
        try:
            results = getattr(self._manager.hook, hook)(**kwargs)
        except StartupError:
            raise
        # An isolation point: whatever foreign code raises is reported under its name.
        except Exception as error:
            raise PluginError(
                self.name, f"hook {shown(hook)} failed: {described(error)}; {DEBUG}"
            ) from error
        result = results[0] if results else None
        if result is not None and not _is_allowed(hook, result):
            raise PluginError(self.name, _wrong_result(hook, result))
        return result


def discover() -> dict[str, tuple[PluginRecord, ...]]:
    """Return every installed plugin by name, importing none; two records if two distributions
    claim one name."""
    found: dict[str, tuple[PluginRecord, ...]] = {}
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        record = PluginRecord(
            name=entry.name,
            distribution=entry.dist.name if entry.dist else "",
            version=entry.dist.version if entry.dist else "",
            module=entry.value,
        )
        found[entry.name] = (*found.get(entry.name, ()), record)
    return found


def load(config: Config) -> list[Plugin]:
    """Import, check and configure the enabled plugins, in their order.

    Raises PluginError if one thing is wrong with one plugin; ConfigError, a line for each, if
    more is wrong.
    """
    installed = discover()
    attempts = [_attempt(name, config, installed) for name in config.enabled]
    found = [finding for attempt in attempts for finding in attempt.findings]
    _refuse(config, [*found, *_orphans(config, installed)])
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
        orphans = _orphans(config, installed)
        raise refusal(config, [*error.findings, *found, *orphans]) from error


def inspect_plugins(config: Config) -> list[tuple[PluginRecord, str | None]]:
    """Return each enabled plugin with what is wrong with it, or None; raises nothing.

    For `broker plugins`, `doctor` and `--help`, which must work when a plugin does not.
    """
    installed = discover()
    attempts = [_attempt(name, config, installed) for name in config.enabled]
    return [(a.record, "; ".join(str(finding) for finding in a.findings) or None) for a in attempts]


T = TypeVar("T")


def exclusive(
    results: Sequence[tuple[str, T]], *, role: str, choice: str | None = None
) -> tuple[str, T] | None:
    """Return the plugin's name and the provider that fill a role, None if nobody does.

    `choice` is what the config says under `broker.<role>`. Raises ConfigError if several could
    and none is chosen, or if the chosen one cannot.
    """
    names = [name for name, _ in results]
    if choice is not None:
        for name, provider in results:
            if name == choice:
                return name, provider
        able = f"choose one that does: {quoted(names)}" if names else "remove the line"
        raise ConfigError(f"broker.{role}: plugin {shown(choice)} provides no {role}; {able}")
    if len(results) > 1:
        remedy = "remove all but one from broker.plugins"
        if role == "storage":
            remedy = f"choose one, broker.storage = {shown(names[0])} for example"
        raise ConfigError(f"plugins {quoted(names)} each provide the {role}; {remedy}")
    return results[0] if results else None


class _Attempt(msgspec.Struct, kw_only=True):
    record: PluginRecord
    plugin: Plugin | None = None
    findings: list[Problem | StartupError] = msgspec.field(default_factory=list)


def _attempt(name: str, config: Config, installed: dict[str, tuple[PluginRecord, ...]]) -> _Attempt:
    records = installed.get(name, ())
    if not records:
        missing = _not_installed(name, config, list(installed))
        return _Attempt(record=PluginRecord(name=name), findings=[missing])
    attempt = _Attempt(record=records[0])
    if len(records) > 1:
        names = " and ".join(f"{shown(r.distribution)} {r.version}" for r in records)
        problem = f"two distributions provide it: {names}; uninstall one"
        attempt.findings.append(PluginError(name, problem))
        return attempt
    try:
        plugin = _import(records[0], attempt.findings)
        if plugin is not None:
            attempt.record = plugin.record
            attempt.findings += _configure(plugin, config)
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


def _orphans(config: Config, installed: Mapping[str, object]) -> list[Problem]:
    """Return the tables of plugins that are not even installed: a misspelt name, most likely."""
    found = []
    for name in config.plugins:
        if name not in installed and name not in config.broker.plugins:
            path = ("plugins", name)
            hint = did_you_mean(name, list(installed)) or f"; installed are {quoted(installed)}"
            source = config.layers.source(path)
            found.append(Problem(path, f"no such plugin is installed{hint}{source}"))
    return found


def _import(record: PluginRecord, findings: list[Problem | StartupError]) -> Plugin | None:
    entry = EntryPoint(name=record.name, value=record.module, group=GROUP)
    try:
        module = entry.load()
    except KeyboardInterrupt:
        raise
    # An isolation point: a module may raise anything, and even try to exit, when it is imported.
    except BaseException as error:
        text = f"import of {record.module} failed: {described(error)}; {DEBUG}"
        raise PluginError(record.name, text) from error
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    faults = find_faults(module, manager)
    findings += [PluginError(record.name, fault) for fault in faults]
    return None if faults else Plugin(record, module, manager)


def _configure(plugin: Plugin, config: Config) -> list[Problem]:
    path = ("plugins", plugin.name)
    table = config.plugins.get(plugin.name, {})
    schema = plugin.call("config_schema")
    if schema is None:
        return [Problem(path, "the plugin takes no config; remove the table")] if table else []
    plugin.config, problems = bind(schema, table, at=path, layers=config.layers)
    return problems


def _refuse(config: Config, findings: Sequence[Problem | StartupError]) -> None:
    if findings:
        causes = (f.__cause__ for f in findings if isinstance(f, StartupError) and f.__cause__)
        raise refusal(config, findings) from next(causes, None)


def _is_allowed(hook: str, result: Any) -> bool:
    if hook == "config_schema":
        return isinstance(result, type) and issubclass(result, BaseModel)
    return hook in RESULTS and isinstance(result, RESULTS[hook])


def _wrong_result(hook: str, result: Any) -> str:
    if inspect.iscoroutine(result):
        result.close()
    what = f"class {result.__name__}" if isinstance(result, type) else type(result).__name__
    return f"hook {shown(hook)} returned {what}; it must return {_expected(hook)}"


def _expected(hook: str) -> str:
    if hook == "config_schema":
        return "a subclass of pydantic.BaseModel"
    if hook == "provide_lifespan":
        return "an async context manager, or None"
    if hook in RESULTS:
        return f"an instance of broker.{RESULTS[hook].__name__}, or None"
    return "nothing"
