"""Executions with nothing around them: what is executed is what is asked over HTTP."""

import msgspec
import pytest

from bench import graphs

pytest.importorskip("broker_graphql", reason="the plugin graphql is not installed")
from bench.executions import measure


def job(directory, **request):
    return graphs.Job(
        directory=str(directory),
        messages=2,
        body=msgspec.json.encode({**graphs._REQUEST, **request}),
        tasks=2,
        answers=3,
        warm_up=1,
        gated=msgspec.json.encode(graphs._GATED),
    )


async def test_it_measures_executions_and_the_gate(tmp_path):
    found = await measure(job(tmp_path))

    assert all(figure > 0 for figure in msgspec.structs.astuple(found))
    assert found.known < found.new


async def test_an_execution_with_errors_ends_the_run(tmp_path):
    with pytest.raises(ExceptionGroup) as caught:
        await measure(job(tmp_path, variables={"queue": "nowhere", "first": 1}))

    assert caught.group_contains(RuntimeError, match="queue-not-found")


def test_the_gate_is_measured_with_a_kilobyte():
    assert len(graphs._GATED["query"]) == 1024
