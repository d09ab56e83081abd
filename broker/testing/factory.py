"""Brokers for tests: assembled from the plugins that a test names, inside its process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from broker.assembly import assemble
from broker.config import make_config
from broker.context import PluginContext
from broker.extend import Observer
from broker.hookspecs import hookimpl
from broker.testing.client import Client
from broker.testing.clock import ManualClock
from broker.testing.recorder import Recorder

RECORDER = "recorder"
"""The name of the plugin that provides the recorder."""


class BrokerFactory:
    """Makes brokers whose data lies in one directory, whose time is one clock's, and which tell one
    recorder of all that happens."""

    def __init__(self, data_dir: Path, clock: ManualClock, recorder: Recorder) -> None:
        self._data_dir = data_dir
        self._clock = clock
        self._recorder = recorder

    def __call__(
        self,
        plugins: Sequence[str] = (),
        *,
        config: Mapping[str, Any] | None = None,
        added: Mapping[str, object] | None = None,
    ) -> Client:
        """Return the client of a broker that runs while the client is entered.

        `plugins` are names of installed ones, in their order, then come those in `added`, which
        need not be installed: by name, modules or objects whose methods are hook implementations.
        `config` says what `broker.toml` could, as tables; without a word in it, everybody may do
        everything. Raises ConfigError and PluginError, as the start of a broker does.
        """
        added = {**(added or {}), RECORDER: _Recording(self._recorder)}
        tables = dict(config or {})
        broker = {"anonymous": True, "data_dir": str(self._data_dir), **tables.get("broker", {})}
        tables["broker"] = {"plugins": [*plugins, *added], **broker}
        return Client(assemble(make_config(tables), clock=self._clock, added=added))


class _Recording:
    """The plugin that provides a recorder."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    @hookimpl
    def provide_observer(self, plugin: PluginContext) -> Observer:  # noqa: ARG002  # the hook's own
        return self._recorder
