"""The contract of interceptors: they take what they should, refuse the rest, and touch no more."""

from __future__ import annotations

import asyncio
import copy
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

import msgspec
import pytest
from hypothesis.strategies import SearchStrategy

from broker.auth import Identity
from broker.errors import Rejected
from broker.extend import Interceptor
from broker.limits import MAX_BATCH_MESSAGES, MAX_MESSAGE_BYTES
from broker.models import Draft, NewMessage
from broker.operations.checking import check_drafts
from broker.testing.batches import batches_like
from broker.testing.cancelled import at_every_turn, cancel
from broker.testing.clock import ManualClock
from broker.testing.contract import Contract, lacks, made, needs
from broker.testing.drawing import for_all
from broker.testing.opening import Opening, ProviderBench

Batch = list[NewMessage]

LARGE: Mapping[str, bytes] = {
    "zeros": bytes(MAX_MESSAGE_BYTES),
    "letters": b"a" * MAX_MESSAGE_BYTES,
    "a number": b"1" * 2**20,
    "brackets": b"[" * 2**20,
    "braces": b'{"a":' * 2**18,
    "a list": b"[" + b"0," * 2**19 + b"0]",
    "no text": b"\xff" * 2**20,
}

WHO = {
    "nobody": Identity(subject="anonymous", is_anonymous=True),
    "an admin": Identity(subject="ann", scopes=frozenset({"admin"}), peer="192.0.2.1"),
    "a stranger": Identity(subject="\u0416\n\x00", scopes=frozenset({"publish:*"}), peer="@"),
}


class InterceptorBench(ProviderBench[Interceptor]):
    """An interceptor, and short words for it."""

    def __init__(self, make: Callable[[], Interceptor]) -> None:
        super().__init__(make)
        self.interceptor: Interceptor = self.provider
        """The interceptor under test."""

    async def intercept(self, batch: Sequence[NewMessage], who: str = "an admin") -> Batch:
        """Return what becomes of a batch; raise Rejected if it is refused."""
        return list(await self.interceptor.before_publish(WHO[who], batch))

    async def outcome(self, batch: Sequence[NewMessage]) -> Batch | str:
        """Return what becomes of a batch, or why it is refused."""
        try:
            result = await self.intercept(batch)
        except Rejected as error:
            return str(error)
        assert queues(result) == queues(batch)
        return result


def queues(batch: Sequence[NewMessage]) -> list[str]:
    """Return where messages go."""
    return [message.queue for message in batch]


class InterceptorContract(Opening, Contract):
    """Subclass it in a test module, return your interceptor, and name messages that it takes, and
    such as it refuses.

        class TestAcmeInterceptor(InterceptorContract):
            taken = [NewMessage(queue="q", body=b"a polite text")]
            refused = {"shouting": NewMessage(queue="q", body=b"A TEXT")}

            def make_interceptor(self, tmp_path, clock):
                return AcmeInterceptor()

    What it promises beyond the mandatory stands in `capabilities`; take out what yours does not
    promise, and its tests are skipped, and say so:

    - `idempotent`: the same batch always becomes the same, and what came out of it is left as it is
    - `places`: of a batch, a refusal names the message by its place, as `messages[3]`

    An interceptor for which `refused` names nothing has to take everything.
    """

    capabilities: ClassVar[frozenset[str]] = frozenset({"idempotent", "places"})
    """What it promises; tests of what is not here are skipped."""

    taken: ClassVar[Sequence[NewMessage]] = (NewMessage(queue="q", body=b"body"),)
    """Messages that it takes, changed or as they are."""

    refused: ClassVar[Mapping[str, NewMessage]] = MappingProxyType({})
    """Messages that it refuses, by what is wrong with them."""

    @abstractmethod
    def make_interceptor(self, tmp_path: Path, clock: ManualClock) -> Interceptor:
        """Return a new interceptor, not opened. The kit opens and closes it."""

    def make_bench(self, tmp_path: Path) -> InterceptorBench:
        """Return a workbench with an interceptor of its own."""
        clock = ManualClock()
        return InterceptorBench(partial(made, Interceptor, self.make_interceptor, tmp_path, clock))

    def subject(self, bench: InterceptorBench) -> tuple[str, frozenset[str]]:
        """Return the interceptor's class name and what is declared of it."""
        refusing = {"refused"} if self.refused else set()
        return type(bench.interceptor).__name__, self.capabilities | refusing

    async def test_what_it_should_take_it_takes(self, bench: InterceptorBench) -> None:
        for message in self.taken:
            assert queues(await bench.intercept([message])) == [message.queue]

    async def test_a_batch_keeps_its_length_and_its_queues(self, bench: InterceptorBench) -> None:
        for batch in ([*self.taken] * 3, [*self.taken][::-1], [*self.taken] * 2):
            assert queues(await bench.intercept(batch)) == queues(batch)

    async def test_an_empty_batch_stays_empty(self, bench: InterceptorBench) -> None:
        assert await bench.intercept([]) == []

    async def test_as_many_as_a_batch_can_have_are_taken(self, bench: InterceptorBench) -> None:
        batch = ([*self.taken] * MAX_BATCH_MESSAGES)[:MAX_BATCH_MESSAGES]
        assert queues(await bench.intercept(batch)) == queues(batch)

    @pytest.mark.parametrize("who", WHO)
    async def test_what_it_gives_can_be_stored(self, bench: InterceptorBench, who: str) -> None:
        _check_storable(await bench.intercept(self.taken, who))

    async def test_what_it_was_given_is_not_changed(self, bench: InterceptorBench) -> None:
        for batch in ([*self.taken], [*self.taken, *self.refused.values()]):
            given = copy.deepcopy(batch)
            await bench.outcome(given)
            assert given == batch

    @needs("refused")
    async def test_what_it_should_refuse_it_refuses(self, bench: InterceptorBench) -> None:
        for wrong, message in self.refused.items():
            assert isinstance(await bench.outcome([message]), str), wrong

    @needs("refused")
    async def test_one_refused_message_refuses_its_batch(self, bench: InterceptorBench) -> None:
        for wrong, message in self.refused.items():
            for place in range(len(self.taken) + 1):
                batch = [*self.taken[:place], message, *self.taken[place:]]
                assert isinstance(await bench.outcome(batch), str), f"{wrong} at {place}"

    @needs("refused")
    async def test_a_refusal_says_what_is_refused_and_why(self, bench: InterceptorBench) -> None:
        for wrong, message in self.refused.items():
            with pytest.raises(Rejected) as refusal:
                await bench.intercept([message])
            assert refusal.value.errors, wrong
            for error in refusal.value.errors:
                assert error.field.strip(), wrong
                assert error.message.strip(), wrong
            assert len(str(refusal.value)) <= 10_000, f"{wrong}: nobody reads as much"

    @needs("refused", "places")
    async def test_a_refusal_names_the_place_in_the_batch(self, bench: InterceptorBench) -> None:
        [taken, *_] = self.taken
        for wrong, message in self.refused.items():
            for place in (0, 2):
                batch = [taken] * 4
                batch[place] = message
                assert f"[{place}]" in str(await bench.outcome(batch)), wrong

    @needs("idempotent")
    async def test_the_same_becomes_the_same(self, bench: InterceptorBench) -> None:
        for message in (*self.taken, *self.refused.values()):
            assert await bench.outcome([message]) == await bench.outcome([message])

    @needs("idempotent")
    async def test_what_came_out_is_left_as_it_is(self, bench: InterceptorBench) -> None:
        once = await bench.intercept(self.taken)
        assert await bench.intercept(once) == once

    @lacks("idempotent")
    async def test_what_is_not_declared_idempotent_is_not(self, bench: InterceptorBench) -> None:
        once, again = await bench.intercept(self.taken), await bench.intercept(self.taken)
        assert once != again or await bench.intercept(once) != once, 'declare it "idempotent"'

    async def test_batches_at_the_same_time_do_not_meet(self, bench: InterceptorBench) -> None:
        known = [*self.taken, *self.refused.values()]
        batches = [known[: 1 + number % len(known)] for number in range(20)]
        outcomes = await asyncio.gather(*map(bench.outcome, batches))
        alone = [await bench.outcome(batch) for batch in batches]
        assert [*map(type, outcomes)] == [*map(type, alone)]
        if "idempotent" in self.capabilities:
            assert outcomes == alone

    @at_every_turn
    async def test_after_one_that_is_cancelled_it_goes_on(
        self, bench: InterceptorBench, turns: int
    ) -> None:
        await cancel(bench.intercept(self.taken), turns)
        assert queues(await bench.intercept(self.taken)) == queues(self.taken)

    @pytest.mark.parametrize("body", LARGE)
    async def test_a_large_body_is_taken_or_refused(
        self, bench: InterceptorBench, body: str
    ) -> None:
        for message in self.taken:
            large = msgspec.structs.replace(message, body=LARGE[body])
            outcome = await bench.outcome([large])
            assert not isinstance(outcome, str) or len(outcome) <= 10_000

    @needs("refused")
    async def test_whatever_is_published_is_taken_or_refused(self, bench: InterceptorBench) -> None:
        async def check(batch: Batch) -> None:
            outcome = await bench.outcome(batch)
            if not isinstance(outcome, str):
                _check_storable(outcome)

        await for_all(self._drawn(), check)

    @lacks("refused")
    async def test_who_names_nothing_that_is_refused_takes_everything(
        self, bench: InterceptorBench
    ) -> None:
        async def check(batch: Batch) -> None:
            _check_storable(await bench.intercept(batch))

        await for_all(self._drawn(), check)

    async def _check_works(self, bench: InterceptorBench) -> None:
        await bench.intercept(self.taken)

    def _drawn(self) -> SearchStrategy[Batch]:
        return batches_like([*self.taken, *self.refused.values()])


def _check_storable(batch: Batch) -> None:
    """Raise unless the broker would have taken these messages from a client, too."""
    for message in batch:
        assert type(message.body) is bytes
        msgspec.convert(msgspec.structs.asdict(message), NewMessage, strict=True)
    drafts = [Draft(**{name: getattr(message, name) for name in _SHARED}) for message in batch]
    if drafts:
        check_drafts(drafts)


_SHARED = {*Draft.__struct_fields__} & {*NewMessage.__struct_fields__}
