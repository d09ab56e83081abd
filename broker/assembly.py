"""Assembling a broker: load plugins, choose providers, build the engine and its transports."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from broker.addresses import Network, read_proxies
from broker.context import Clock, PluginContext
from broker.engine import Broker
from broker.errors import ConfigError, PluginError
from broker.extend import Transport
from broker.lifecycle import OPEN_SECONDS, Lifecycle, attempt
from broker.meter import Meter
from broker.operations.schemes import describe_all
from broker.providers import Providers
from broker.status import BrokerInfo, PluginInfo
from broker.wording import quoted, shown

if TYPE_CHECKING:
    from broker.config import Config
    from broker.plugins import Plugin
    from broker.tracing.tracing import Tracing


T = TypeVar("T")


class Assembly(msgspec.Struct, frozen=True, kw_only=True):
    """A broker and everything that was built around it; nothing is open yet."""

    broker: Broker
    providers: Providers
    data_dir: Path
    lifespans: tuple[tuple[str, AbstractAsyncContextManager[None]], ...]
    transports: tuple[tuple[str, Transport], ...]
    trusted_proxies: tuple[Network, ...] = ()
    tracing: Tracing | None = None
    warnings: tuple[str, ...] = ()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Broker]:
        """Open everything in order; close it in reverse, the transports first."""
        make_private_directory(self.data_dir)
        async with Lifecycle(self.broker.failures) as lifecycle:
            if self.tracing is not None:
                await lifecycle.open("traces", self.tracing)
            for name, provider in self.providers.in_order():
                await lifecycle.open(name, provider)
            await lifecycle.enter("broker", self.broker.working())
            for name, lifespan in self.lifespans:
                await lifecycle.enter(name, lifespan)
            for name, transport in self.transports:
                await lifecycle.open(name, transport)
            yield self.broker

    async def notices(self) -> list[str]:
        """Return what the providers have to say to whoever starts the broker."""
        lines: list[str] = []
        for name, provider in (*self.providers.in_order(), *self.transports):
            step = f"{type(provider).__name__}.notices"
            lines += await attempt(name, step, provider.notices(), OPEN_SECONDS)
        return lines


def assemble(
    config: Config, *, clock: Clock | None = None, added: Mapping[str, object] | None = None
) -> Assembly:
    """Load the enabled plugins and build, but do not open, what they provide.

    `added` are enabled plugins that are not installed, by name: modules or objects with hooks.
    """
    from broker.loading import load  # imports the config library

    builder = _Builder(config, load(config, added=added), clock or Clock())
    providers = builder.providers()
    tracing = _tracing(config, builder.meter)
    broker = builder.broker(providers, tracing)
    transports = builder.transports(broker, providers)
    return Assembly(
        broker=broker,
        providers=providers,
        data_dir=config.broker.data_dir,
        lifespans=tuple(builder.collect("provide_lifespan", broker=broker)),
        transports=tuple(transports),
        trusted_proxies=tuple(map(read_proxies, config.server.trusted_proxies)),
        tracing=tracing,
        warnings=tuple(builder.warnings),
    )


def _tracing(config: Config, meter: Meter) -> Tracing | None:
    if config.traces.endpoint is None:
        return None
    from broker.tracing.exporting import exporter_to  # imports OpenTelemetry
    from broker.tracing.tracing import Tracing

    exporter = exporter_to(config.traces.endpoint)
    return Tracing(config.traces, exporter, version=version("replika-broker"), meter=meter)


def make_context(plugin: Plugin, config: Config, clock: Clock, meter: Meter) -> PluginContext:
    """Return what a plugin is given of the broker."""
    return PluginContext(
        name=plugin.name,
        config=plugin.config,
        logger=logging.getLogger(f"broker.plugins.{plugin.name}"),
        clock=clock,
        data_dir=config.broker.data_dir,
        environment=config.broker.environment,
        meter=meter.of(plugin.name),
    )


def make_private_directory(path: Path) -> None:
    """Make a directory that only its owner may look into, unless it is there already."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"broker.data_dir: cannot make {path}: {error.strerror}; name another directory"
        ) from error


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


class _Builder:
    """Calls the hooks, one plugin at a time, in the order of the config."""

    def __init__(self, config: Config, plugins: Sequence[Plugin], clock: Clock) -> None:
        self._config = config
        self._plugins = list(plugins)
        self._clock = clock
        self.meter = Meter()
        self._contexts: dict[str, PluginContext] = {}
        self.warnings = list(config.warnings)

    def providers(self) -> Providers:
        storages = self.collect("provide_storage")
        storage = exclusive(storages, role="storage", choice=self._config.broker.storage)
        if storage is None:
            storage = self._fall_back("provide_storage", "memory")
            self.warnings.append(
                "no enabled plugin provides a storage: messages are kept in memory "
                "and are gone when the broker stops"
            )
        authorizer = exclusive(self.collect("provide_authorizer"), role="authorizer")
        return Providers(
            storage=storage,
            authorizer=authorizer or self._fall_back("provide_authorizer", "scopes"),
            authenticators=tuple(self.collect("provide_authenticator")),
            limiter=exclusive(self.collect("provide_rate_limiter"), role="rate limiter"),
            interceptors=tuple(self.collect("provide_interceptor")),
            observers=tuple(self.collect("provide_observer")),
        )

    def broker(self, providers: Providers, tracing: Tracing | None) -> Broker:
        settings = self._config.broker
        storage_name, storage = providers.storage
        return Broker(
            providers,
            clock=self._clock,
            info=BrokerInfo(
                version=version("replika-broker"),
                started_at=self._clock.now(),
                storage=storage_name,
                capabilities=storage.capabilities,
                authenticators=tuple(name for name, _ in providers.authenticators),
                rate_limiter=None if providers.limiter is None else providers.limiter[0],
                plugins=tuple(
                    PluginInfo(record.name, record.distribution, record.version)
                    for record in (plugin.record for plugin in self._plugins)
                ),
                security=describe_all(providers.authenticators),
                anonymous=settings.anonymous,
            ),
            meter=self.meter,
            trace=None if tracing is None else tracing.storage,
            max_queues=settings.max_queues,
            max_requests=self._config.server.max_requests,
            max_waiting=settings.max_waiting,
            max_streams=settings.max_streams,
            max_streams_per_identity=settings.max_streams_per_identity,
            max_waiting_per_identity=settings.max_waiting_per_identity,
            anonymous=settings.anonymous,
            require_receipt=settings.require_receipt,
        )

    def transports(self, broker: Broker, providers: Providers) -> list[tuple[str, Transport]]:
        transports = self.collect("provide_transport", broker=broker)
        for name, transport in transports:
            broker.health.add(name, transport)
            for capability in sorted(transport.requires - broker.info.capabilities):
                raise PluginError(
                    name,
                    f'needs a storage with the capability "{capability}", which '
                    f'"{broker.info.storage}" does not declare; enable another storage',
                )
        if transports and not providers.authenticators and not self._config.broker.anonymous:
            self.warnings.append(
                "no enabled plugin authenticates and broker.anonymous is false: "
                "every request will be answered 401"
            )
        return transports

    def collect(self, hook: str, **shared: object) -> list[tuple[str, Any]]:
        """Call one hook of every plugin; return what is not None, with the plugins' names."""
        found = []
        for plugin in self._plugins:
            provider = plugin.call(hook, plugin=self._context(plugin), **shared)
            if provider is not None:
                found.append((plugin.record.name, provider))
        return found

    def _fall_back(self, hook: str, name: str) -> tuple[str, Any]:
        from broker.loading import load_one

        plugin = load_one(name, self._config)
        self._plugins.append(plugin)
        return name, plugin.call(hook, plugin=self._context(plugin))

    def _context(self, plugin: Plugin) -> PluginContext:
        if plugin.name not in self._contexts:
            self._contexts[plugin.name] = make_context(
                plugin, self._config, self._clock, self.meter
            )
        return self._contexts[plugin.name]
