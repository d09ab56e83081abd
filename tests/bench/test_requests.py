"""Publishes over the routes: each way of them is one that stores."""

import msgspec
import pytest

from bench import requests
from broker.tracing import exporting


@pytest.fixture(autouse=True)
def few(monkeypatch):
    monkeypatch.setattr(requests, "PUBLISHES", 3)
    monkeypatch.setattr(requests, "TURNS", 2)
    monkeypatch.setattr(exporting, "exporter_to", exporting.exporter_to)  # as it was, afterwards


async def test_it_measures_every_way(tmp_path):
    found = await requests.measure(tmp_path)

    assert all(seconds > 0 for seconds in msgspec.structs.astuple(found))
