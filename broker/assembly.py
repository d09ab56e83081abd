"""Assembling a broker: load plugins, choose providers, build the engine and its transports."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from broker.addresses import Network, read_proxies
from broker.context import Clock, PluginContext
from broker.engine import Broker, Providers
from broker.errors import ConfigError, PluginError
from broker.extend import Transport
from broker.lifecycle import OPEN_SECONDS, Lifecycle, attempt
from broker.status import BrokerInfo, PluginInfo

if TYPE_CHECKING:
    from broker.config import Config
    from broker.plugins import Plugin


class Assembly(msgspec.Struct, frozen=True, kw_only=True):
    """A broker and everything that was built around it; nothing is open yet."""

    broker: Broker
    providers: Providers
    data_dir: Path
    lifespans: tuple[tuple[str, AbstractAsyncContextManager[None]], ...]
    transports: tuple[tuple[str, Transport], ...]
    trusted_proxies: tuple[Network, ...] = ()
    warnings: tuple[str, ...] = ()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Broker]:
        """Open everything in order; close it in reverse, the transports first."""
        make_private_directory(self.data_dir)
        async with Lifecycle() as lifecycle:
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


def assemble(config: Config, *, clock: Clock | None = None) -> Assembly:
    """Load the enabled plugins and build, but do not open, what they provide."""
    from broker.plugins import load  # imports the config library

    builder = _Builder(config, load(config), clock or Clock())
    providers = builder.providers()
    broker = builder.broker(providers)
    transports = builder.transports(broker)
    return Assembly(
        broker=broker,
        providers=providers,
        data_dir=config.broker.data_dir,
        lifespans=tuple(builder.collect("provide_lifespan", broker=broker)),
        transports=tuple(transports),
        trusted_proxies=tuple(map(read_proxies, config.server.trusted_proxies)),
        warnings=tuple(builder.warnings),
    )


def make_context(plugin: Plugin, config: Config, clock: Clock) -> PluginContext:
    """Return what a plugin is given of the broker."""
    return PluginContext(
        name=plugin.name,
        config=plugin.config,
        logger=logging.getLogger(f"broker.plugins.{plugin.name}"),
        clock=clock,
        data_dir=config.broker.data_dir,
        environment=config.broker.environment,
    )


def make_private_directory(path: Path) -> None:
    """Make a directory that only its owner may look into, unless it is there already."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"broker.data_dir: cannot make {path}: {error.strerror}; name another directory"
        ) from error


class _Builder:
    """Calls the hooks, one plugin at a time, in the order of the config."""

    def __init__(self, config: Config, plugins: Sequence[Plugin], clock: Clock) -> None:
        self._config = config
        self._plugins = list(plugins)
        self._clock = clock
        self._contexts: dict[str, PluginContext] = {}
        self.warnings = list(config.warnings)

    def providers(self) -> Providers:
        from broker.plugins import exclusive

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

    def broker(self, providers: Providers) -> Broker:
        settings = self._config.broker
        storage_name, storage = providers.storage
        if not settings.anonymous and not providers.authenticators:
            self.warnings.append(
                "no enabled plugin authenticates and broker.anonymous is false: "
                "every request will be answered 401"
            )
        return Broker(
            providers,
            clock=self._clock,
            info=BrokerInfo(
                version=version("replika-broker"),
                started_at=self._clock.now(),
                storage=storage_name,
                capabilities=storage.capabilities,
                plugins=tuple(
                    PluginInfo(record.name, record.distribution, record.version)
                    for record in (plugin.record for plugin in self._plugins)
                ),
            ),
            max_queues=settings.max_queues,
            max_requests=self._config.server.max_requests,
            max_waiting=settings.max_waiting,
            max_streams=settings.max_streams,
            max_streams_per_identity=settings.max_streams_per_identity,
            max_waiting_per_identity=settings.max_waiting_per_identity,
            anonymous=settings.anonymous,
            require_receipt=settings.require_receipt,
        )

    def transports(self, broker: Broker) -> list[tuple[str, Transport]]:
        transports = self.collect("provide_transport", broker=broker)
        for name, transport in transports:
            for capability in sorted(transport.requires - broker.info.capabilities):
                raise PluginError(
                    name,
                    f'needs a storage with the capability "{capability}", which '
                    f'"{broker.info.storage}" does not declare; enable another storage',
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
        from broker.plugins import load_one

        plugin = load_one(name, self._config)
        self._plugins.append(plugin)
        return name, plugin.call(hook, plugin=self._context(plugin))

    def _context(self, plugin: Plugin) -> PluginContext:
        if plugin.name not in self._contexts:
            self._contexts[plugin.name] = make_context(plugin, self._config, self._clock)
        return self._contexts[plugin.name]
