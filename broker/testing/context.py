"""What a plugin is given, made by a test."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from broker.context import PluginContext
from broker.meter import Meter
from broker.testing.clock import ManualClock


def make_context(
    tmp_path: Path, clock: ManualClock, *, name: str = "tested", config: Any = None
) -> PluginContext:
    """Return a context, so that a test can get a provider from the plugin's own hook.

    `config` is an instance of what the plugin's `config_schema` returns.
    """
    return PluginContext(
        name=name,
        config=config,
        logger=logging.getLogger(f"broker.plugins.{name}"),
        clock=clock,
        data_dir=tmp_path,
        meter=Meter(name),
    )
