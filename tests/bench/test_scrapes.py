"""Scrapes with nothing around them: each shows all queues."""

import msgspec
import pytest

from bench.scrapes import measure


@pytest.mark.parametrize("storage", ["memory", "storage_sqlite"])
async def test_it_measures_scrapes(tmp_path, storage):
    found = await measure(tmp_path, storage, queues=20, due=30)

    for scrape in msgspec.structs.astuple(found):
        assert all(figure > 0 for figure in msgspec.structs.astuple(scrape))
