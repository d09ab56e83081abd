"""The transport contract: what makes a way into the broker as safe as REST is."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import pytest

from broker.context import PluginContext
from broker.engine import Broker
from broker.extend import Transport
from broker.hookimpls import hook_names
from broker.hookspecs import hookimpl
from broker.testing.answer import Answer
from broker.testing.client import Client
from broker.testing.clock import ManualClock
from broker.testing.contract import Contract, made
from broker.testing.transport.bench import TransportBench
from broker.testing.transport.doubles import Doubles
from broker.testing.transport.each import runs_of
from broker.testing.transport.entering import Entering
from broker.testing.transport.leaving import Leaving
from broker.testing.transport.lifecycle import Lifecycle
from broker.testing.transport.mounting import Mounting
from broker.testing.transport.probe import Probe
from broker.testing.transport.refusing import Refusing
from broker.testing.transport.stage import assemble_around
from broker.testing.transport.streaming import Streaming

__all__ = ["Probe", "TransportContract"]


class TransportContract(Entering, Refusing, Leaving, Streaming, Mounting, Lifecycle, Contract):
    """Subclass it in a test module, return your transport, and say what it is asked for.

        class TestAcmeTransport(TransportContract):
            probes = (Probe(request="POST /acme/q", body="tea", action="publish", queue="q"),)

            def make_transport(self, broker, plugin):
                return AcmeTransport(broker)

    The kit puts a broker around it whose authenticator, limiter and storage do as they are told,
    sends each probe to it, and looks at the answer and at what the broker saw. What none of your
    probes is about is skipped, and says so. What a probe says of itself is tested, too: one that
    does not spend, for example, must not reach the rate limiter.

    A transport that has neither routes nor a blueprint keeps the tests of its lifecycle; to have
    the others, override `ask`.
    """

    probes: ClassVar[Sequence[Probe]] = ()
    """What your transport is asked for: something for each of its routes."""

    unprobed: ClassVar[Mapping[str, str]] = MappingProxyType({})
    """Why there is no probe of a route, by method and path: `{"POST /acme/login": "..."}`."""

    plugin: ClassVar[object] = None
    """The module with your plugin's hooks, if the transport needs what the others provide: the
    observer that tells it what happens, for example. All of them are called but
    `provide_transport`."""

    config: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    """What stands in the config under your plugin's name, for the schema that `plugin` has."""

    peer: ClassVar[str] = "198.51.100.23"
    """The address from which the broker shall see probes come: another one, if your transport has
    a listener of its own and your `ask` connects from there."""

    @abstractmethod
    def make_transport(self, broker: Broker, plugin: PluginContext) -> Transport:
        """Return a new transport, not opened, as your hook `provide_transport` would."""

    async def ask(self, client: Client, probe: Probe, **options: Any) -> Answer:
        """Send a probe; return its answer in the words of HTTP: status, headers, body.

        Of an answer that goes on, return what it began with. Override it if your protocol
        answers 200 and tells in the body what went wrong, or if your transport has a listener of
        its own. The options are those of `Client.request`: always a `token`, "" for none, and for
        routes at times `headers`, or a `body` in place of the probe's.
        """
        sent = probe.options(peer=self.peer, **options)
        async with client.stream(*probe.line, **sent) as exchange:
            body = await exchange.rest() if "content-length" in exchange.headers else b""
            return Answer(exchange.status, exchange.headers, body)

    def make_bench(self, tmp_path: Path) -> TransportBench:
        """Return a workbench, which makes brokers around the transport."""
        return TransportBench(self, tmp_path)

    def subject(self, bench: TransportBench) -> tuple[str, frozenset[str]]:
        """Return the transport's class name, and what of HTTP it has."""
        transport = bench.transport()
        found = set()
        if transport.routes() or transport.blueprint() is not None:
            found.add("routes")
        if transport.requires:
            found.add("requires")
        return type(transport).__name__, frozenset(found)

    def make_client(
        self,
        tmp_path: Path,
        clock: ManualClock,
        doubles: Doubles,
        *,
        hot: bool,
        broker: Mapping[str, Any],
    ) -> Client:
        """Return the client of a broker around a new transport."""
        plugin = _Tested(self)
        return assemble_around(
            plugin, tmp_path, clock, doubles, hot=hot, config=self.config, broker=broker
        )

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run a test once for each probe that it is about."""
        if "probe" in metafunc.fixturenames:
            metafunc.parametrize("probe", runs_of(metafunc.function, self.probes))


class _Tested:
    """The plugin whose transport is tested."""

    def __init__(self, contract: TransportContract) -> None:
        self._contract = contract
        for name in hook_names():
            if name != "provide_transport" and hasattr(contract.plugin, name):
                setattr(self, name, getattr(contract.plugin, name))

    @hookimpl
    def provide_transport(self, plugin: PluginContext, broker: Broker) -> Transport:
        return made(Transport, self._contract.make_transport, broker, plugin)
