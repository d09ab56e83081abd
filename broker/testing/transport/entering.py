"""Who asks: nobody passes without the broker's word."""

from __future__ import annotations

from broker.testing.contract import needs
from broker.testing.transport.bench import TransportBench
from broker.testing.transport.each import (
    every,
    known,
    permitted,
    permitted_with_a_queue,
    public,
    unpermitted,
)
from broker.testing.transport.probe import Probe
from broker.testing.transport.stage import BAD_TOKEN, SUBJECT, TOKEN

NO_CREDENTIALS = (f"Acme {TOKEN}", TOKEN, f"Bearer {TOKEN} {TOKEN}", "Bearer", "")
"""A scheme that nobody knows, and what is no scheme and a token."""


class Entering:
    """Tests of what stands before everything else."""

    @every
    async def test_who_may_is_answered_as_the_probe_says(
        self, bench: TransportBench, probe: Probe
    ) -> None:
        async with bench.stage(probe) as stage:
            answer = await stage.ask()
            assert answer.status == probe.status, answer

    @known
    async def test_without_credentials_it_is_401(self, bench: TransportBench, probe: Probe) -> None:
        async with bench.stage(probe) as stage:
            answer = await stage.ask(token="")
            assert answer.status == 401, answer
            assert stage.happened() == []
            assert stage.doubles.storage.asked == []

    @needs("routes")
    @known
    async def test_a_401_says_what_is_wanted(self, bench: TransportBench, probe: Probe) -> None:
        async with bench.stage(probe) as stage:
            for token in ("", BAD_TOKEN):
                answer = await stage.ask(token=token)
                assert answer.headers.get("www-authenticate"), answer.headers

    @known
    async def test_bad_credentials_are_401(self, bench: TransportBench, probe: Probe) -> None:
        async with bench.stage(probe) as stage:
            answer = await stage.ask(token=BAD_TOKEN)
            assert answer.status == 401, answer
            assert stage.happened() == []

    @known
    async def test_bad_credentials_never_become_anonymous(
        self, bench: TransportBench, probe: Probe
    ) -> None:
        async with bench.stage(probe, broker={"anonymous": True}) as stage:
            answer = await stage.ask(token=BAD_TOKEN)
            assert answer.status == 401, answer
            assert stage.happened() == []

    @needs("routes")
    @known
    async def test_what_looks_like_no_credentials_is_401(
        self, bench: TransportBench, probe: Probe
    ) -> None:
        async with bench.stage(probe, broker={"anonymous": True}) as stage:
            for said in NO_CREDENTIALS:
                answer = await stage.ask(token="", headers={"authorization": said})
                assert answer.status == 401, (said, answer)
            assert stage.happened() == []

    @known
    async def test_an_authenticator_that_fails_lets_nobody_pass(
        self, bench: TransportBench, probe: Probe
    ) -> None:
        async with bench.stage(probe, broker={"anonymous": True}) as stage:
            stage.doubles.authenticator.fault = RuntimeError("kit-fault-of-the-authenticator")
            answer = await stage.ask()
            assert answer.status == 503, answer
            assert b"kit-fault" not in answer.body
            assert stage.happened() == []

    @public
    async def test_what_is_public_needs_no_credentials(
        self, bench: TransportBench, probe: Probe
    ) -> None:
        async with bench.stage(probe) as stage:
            answer = await stage.ask(token="")
            assert answer.status == probe.status, answer

    @permitted
    async def test_who_may_only_do_something_else_is_refused(
        self, bench: TransportBench, probe: Probe
    ) -> None:
        async with bench.stage(probe) as stage:
            stage.permit_another()
            answer = await stage.ask()
            # Of a message that is asked for by its id, it may not be told that it is there.
            refusals = {403, 404} if probe.is_about_a_lease() else {403}
            assert answer.status in refusals, answer
            assert stage.happened() == []

    @permitted_with_a_queue
    async def test_of_a_queue_that_one_may_not_see_there_is_nothing(
        self, bench: TransportBench, probe: Probe
    ) -> None:
        async with bench.stage(probe) as stage:
            stage.permit(None)
            answer = await stage.ask()
            assert answer.status == 404, answer
            assert stage.happened() == []

    @permitted
    async def test_the_permission_is_asked_for_who_asks(
        self, bench: TransportBench, probe: Probe
    ) -> None:
        async with bench.stage(probe) as stage:
            await stage.ask()
            asked = stage.doubles.authorizer.asked
            # Of what one may see, a queue of none may be asked one by one.
            needed = {(action, queue) for _, action, queue in asked}
            assert any(action == probe.action for action, _ in needed), needed
            if probe.queue is not None:
                assert (probe.action, probe.queue) in needed
            assert {(identity.subject, identity.peer) for identity, _, _ in asked} == {
                (SUBJECT, bench.contract.peer)
            }

    @unpermitted
    async def test_what_needs_no_permission_is_answered_to_who_has_none(
        self, bench: TransportBench, probe: Probe
    ) -> None:
        async with bench.stage(probe) as stage:
            answer = await stage.ask()
            assert answer.status == probe.status, answer

    @every
    async def test_the_broker_hears_who_asks_and_from_where(
        self, bench: TransportBench, probe: Probe
    ) -> None:
        async with bench.stage(probe) as stage:
            await stage.ask()
            doubles = stage.doubles
            assert {asked.peer for asked in doubles.authenticator.asked} <= {bench.contract.peer}
            assert {asked.peer for asked in doubles.limiter.asked} <= {bench.contract.peer}
            who = {asked.identity.subject for asked in doubles.limiter.asked if asked.identity}
            assert who <= {SUBJECT}
            told = {(event.subject, event.peer) for event in doubles.observer.events}
            assert told <= {(SUBJECT, bench.contract.peer)}
