"""Documents that are known by heart."""

import gc
import tracemalloc

import pytest
from graphs import ADMIN, graph

from broker_graphql.gate import documents
from broker_graphql.gate.asking import Asked

QUERY = "{ me { subject } }"


async def test_a_document_is_read_once(tmp_path):
    async with graph(tmp_path) as one:
        known = one.transport.executor._documents
        assert known.read(QUERY) is known.read(QUERY)


async def test_of_what_is_known_no_more_is_kept_than_there_is_memory_for(tmp_path, monkeypatch):
    async with graph(tmp_path) as one:
        known = one.transport.executor._documents
        first, second = known.read(QUERY), known.read("{ me { scopes } }")
        monkeypatch.setattr(documents, "MAX_KNOWN_BYTES", first.size + second.size)
        known.read(QUERY)
        known.read("{ me {scopes} }")

        assert known.read(QUERY) is first
        assert known.read("{ me { scopes } }") is not second
        assert known._size == sum(document.size for document in known._known.values())


@pytest.mark.parametrize(
    "query",
    [
        "{me{" + "subject " * 140 + "}}",
        # Each character takes four bytes if one of them does.
        "{me{subject}}#\U0001f600" + "a" * 9_000,
        '{queue(name:"\U0001f600' + "a" * 9_000 + '"){id}}',
    ],
)
async def test_a_document_takes_no_more_memory_than_is_said(tmp_path, query):
    async with graph(tmp_path) as one:
        executor = one.transport.executor
        executor.prepare(Asked(query="{ me { subject } }"), ADMIN)
        gc.collect()
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        asked = Asked(query=query.encode().decode())  # a text of its own
        document = executor.prepare(asked, ADMIN).document
        gc.collect()
        taken = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
    assert document.converted
    assert taken < document.size
