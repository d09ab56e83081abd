"""What the broker refuses, and what breaks: the client is told so, and nothing more."""

from __future__ import annotations

import logging

import pytest

from broker.errors import Rejected, StorageFull, Unavailable
from broker.testing.contract import needs
from broker.testing.transport.bench import TransportBench
from broker.testing.transport.doubles import RETRY_AFTER
from broker.testing.transport.each import every, free, publishing, spending, storeless, storing
from broker.testing.transport.probe import Probe
from broker.testing.transport.stage import BAD_TOKEN, TOKEN

CANARY = "kit-fault-d41d8c"
"""What a bug says, and no client may hear."""

BROKEN_BODIES = (
    *(b"", b"{", b"[]", b"null", b'"tea"', b"\xff\xfe", b"\x00"),
    *(b"[" * 5000, b'{"a":' * 5000),
)


class Refusing:
    """Tests of the ways in which a request can fail."""

    @spending
    async def test_a_spent_limit_is_429(self, bench: TransportBench, probe: Probe) -> None:
        async with bench.stage(probe) as stage:
            stage.doubles.limiter.is_spent = True
            answer = await stage.ask()
            assert answer.status == 429, answer
            assert stage.happened() == []

    @needs("routes")
    @spending
    async def test_a_429_says_when_to_come_again(self, bench: TransportBench, probe: Probe) -> None:
        async with bench.stage(probe) as stage:
            stage.doubles.limiter.is_spent = True
            answer = await stage.ask()
            assert answer.headers.get("retry-after") == str(RETRY_AFTER), answer.headers

    @free
    async def test_what_is_free_asks_no_limiter(self, bench: TransportBench, probe: Probe) -> None:
        async with bench.stage(probe) as stage:
            await stage.ask()
            assert stage.doubles.limiter.asked == []

    @storing
    async def test_a_storage_that_is_down_is_503(self, bench: TransportBench, probe: Probe) -> None:
        async with bench.stage(probe) as stage:
            stage.doubles.storage.fault = Unavailable("the store is away")
            answer = await stage.ask()
            assert answer.status == 503, answer

    @storing
    async def test_a_full_disk_is_507(self, bench: TransportBench, probe: Probe) -> None:
        async with bench.stage(probe) as stage:
            stage.doubles.storage.fault = StorageFull("there is no room")
            answer = await stage.ask()
            assert answer.status == 507, answer

    @storeless
    async def test_what_does_without_the_storage_asks_nothing_of_it(
        self, bench: TransportBench, probe: Probe
    ) -> None:
        async with bench.stage(probe) as stage:
            await stage.ask()
            assert stage.doubles.storage.asked == []

    @storing
    async def test_a_bug_is_500_and_only_the_log_tells_of_it(
        self, bench: TransportBench, probe: Probe, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with bench.stage(probe) as stage:
            caplog.clear()
            stage.doubles.storage.fault = RuntimeError(CANARY)
            answer = await stage.ask()
            assert answer.status == 500, answer
            assert CANARY not in f"{answer.headers}{answer.text}"
            assert CANARY in caplog.text, "nobody could find out what went wrong"

    @storing
    async def test_what_nobody_expected_is_500_and_only_the_log_tells_of_it(
        self, bench: TransportBench, probe: Probe, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with bench.stage(probe) as stage:
            caplog.clear()
            stage.break_operations(RuntimeError(CANARY))
            answer = await stage.ask()
            assert answer.status == 500, answer
            assert CANARY not in f"{answer.headers}{answer.text}"
            assert CANARY in caplog.text, "nobody could find out what went wrong"

    @publishing
    async def test_a_bug_in_an_interceptor_publishes_nothing_and_is_not_told(
        self, bench: TransportBench, probe: Probe
    ) -> None:
        async with bench.stage(probe) as stage:
            stage.doubles.interceptor.fault = RuntimeError(CANARY)
            answer = await stage.ask()
            assert answer.status in {500, 503}, answer
            assert CANARY not in f"{answer.headers}{answer.text}"
            assert stage.happened() == []

    @publishing
    async def test_what_an_interceptor_rejects_is_422_and_says_why(
        self, bench: TransportBench, probe: Probe
    ) -> None:
        async with bench.stage(probe) as stage:
            stage.doubles.interceptor.fault = Rejected("no tea after five")
            answer = await stage.ask()
            assert answer.status == 422, answer
            assert "no tea after five" in answer.text
            assert stage.happened() == []

    @publishing
    async def test_what_is_published_is_told(self, bench: TransportBench, probe: Probe) -> None:
        async with bench.stage(probe) as stage:
            await stage.ask()
            assert "message.published" in stage.happened()

    @needs("routes")
    @every
    async def test_a_broken_body_is_no_bug(self, bench: TransportBench, probe: Probe) -> None:
        kind = {} if probe.json is None else {"content-type": "application/json"}
        async with bench.stage(probe) as stage:
            for body in BROKEN_BODIES:
                answer = await stage.ask(json=None, body=body, headers=kind)
                assert answer.status < 500, (body[:20], answer)

    @every
    async def test_no_token_is_told_in_answers_or_in_the_log(
        self, bench: TransportBench, probe: Probe, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.DEBUG):
            async with bench.stage(probe) as stage:
                answers = [await stage.ask(token=BAD_TOKEN), await stage.ask()]
                stage.doubles.storage.fault = RuntimeError("the store is broken")
                answers.append(await stage.ask())
        for told in (*(f"{answer.headers}{answer.text}" for answer in answers), caplog.text):
            assert TOKEN not in told
            assert BAD_TOKEN not in told
