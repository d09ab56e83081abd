"""Publishes with nothing around them: each way of them is one that stores."""

import msgspec
import pytest

from bench import publishes


@pytest.fixture(autouse=True)
def few(monkeypatch):
    monkeypatch.setattr(publishes, "PUBLISHES", 3)
    monkeypatch.setattr(publishes, "TURNS", 2)


async def test_it_measures_every_way(tmp_path):
    found = await publishes.measure(tmp_path)

    assert all(seconds > 0 for seconds in msgspec.structs.astuple(found))
