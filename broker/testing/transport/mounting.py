"""Routes and blueprints: where a transport is reached, and what else comes there."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from broker.builtin.rest.transport import RestTransport
from broker.http import Route
from broker.testing.contract import needs
from broker.testing.transport.bench import TransportBench
from broker.testing.transport.each import every, whole
from broker.testing.transport.probe import Probe
from broker.testing.transport.stage import TOKEN
from broker.testing.transport.ways import ways

VARYING = frozenset({"x-request-id", "date"})


class Mounting:
    """Tests of what HTTP brings, whatever the transport does with it."""

    @needs("routes")
    async def test_every_route_has_a_probe(self, bench: TransportBench) -> None:
        probed = {probe.line for probe in bench.contract.probes}
        unknown = [
            name
            for name, matches in ways(bench.stage().client)
            if name not in bench.contract.unprobed and not any(map(matches, probed))
        ]
        assert unknown == [], "give each a probe, or say in `unprobed` why there is none"

    @needs("routes")
    async def test_no_two_routes_are_the_same(self, bench: TransportBench) -> None:
        counted = Counter(_shape(route) for route in bench.transport().routes())
        assert [shape for shape, count in counted.items() if count > 1] == []

    @needs("routes")
    async def test_no_route_is_one_of_rest(self, bench: TransportBench) -> None:
        stage = bench.stage()
        transport = stage.transport
        if isinstance(transport, RestTransport):
            pytest.skip("this is REST")
        rest = RestTransport(stage.broker, data_dir=bench.tmp_path)
        taken = {_shape(route) for route in rest.routes()}
        assert [_shape(route) for route in transport.routes() if _shape(route) in taken] == []

    @needs("routes")
    @every
    async def test_head_does_nothing(self, bench: TransportBench, probe: Probe) -> None:
        async with bench.stage(probe) as stage:
            _, path = stage.probe.line
            answer = await stage.client.request("HEAD", path, token=TOKEN)
            assert answer.status < 500, answer
            assert stage.happened() == []
            assert await stage.counts() == stage.before

    @needs("routes")
    @every
    async def test_a_method_that_nothing_takes_is_405_and_says_which_are(
        self, bench: TransportBench, probe: Probe
    ) -> None:
        async with bench.stage(probe) as stage:
            method, path = stage.probe.line
            answer = await stage.client.request("BREW", path, token=TOKEN)
            assert answer.status == 405, answer
            assert method in answer.headers["allow"]
            assert stage.happened() == []

    @needs("routes")
    @whole
    async def test_hot_and_not_hot_are_answered_alike(
        self, bench: TransportBench, probe: Probe
    ) -> None:
        answers = []
        for hot in (True, False):
            async with bench.stage(probe, hot=hot) as stage:
                answer = await stage.ask()
                answers.append((answer.status, {*answer.headers} - VARYING))
        assert answers[0] == answers[1]

    @needs("routes")
    @every
    async def test_it_is_there_under_v1_too(self, bench: TransportBench, probe: Probe) -> None:
        async with bench.stage(probe) as stage:
            if stage.route() is None:
                pytest.skip("a blueprint says itself where it is mounted")
            stage.probe = stage.probe.at("/v1")
            answer = await stage.ask()
            assert answer.status == probe.status, answer

    @needs("routes")
    @every
    async def test_a_body_that_is_too_large_is_413_and_does_nothing(
        self, bench: TransportBench, probe: Probe
    ) -> None:
        async with bench.stage(probe) as stage:
            route = stage.route()
            if route is None:
                pytest.skip("a blueprint bounds its bodies itself, within 1 MiB")
            body = b"x" * (route.max_body + 1)
            answer = await stage.ask(json=None, body=body)
            assert answer.status == 413, answer
            assert stage.happened() == []
            assert stage.doubles.storage.asked == []


def _shape(route: Route) -> str:
    return f"{route.method} {re.sub(r'{[^}]*}', '{}', route.path)}"
