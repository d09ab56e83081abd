"""The contract of observers: they take whatever happened, and nobody notices."""

from __future__ import annotations

import asyncio
import gc
import weakref
from abc import abstractmethod
from functools import partial
from pathlib import Path
from typing import ClassVar

import pytest

from broker.extend import Event, EventKind, Observer
from broker.testing.clock import ManualClock
from broker.testing.contract import Contract, made, needs
from broker.testing.drawing import for_all
from broker.testing.observer.bench import ObserverBench
from broker.testing.observer.events import KINDS, event, operations
from broker.testing.opening import Opening

__all__ = ["ObserverBench", "ObserverContract"]


class ObserverContract(Opening, Contract):
    """Subclass it in a test module, and return your observer.

        class TestAcmeObserver(ObserverContract):
            def make_observer(self, tmp_path, clock):
                return AcmeObserver(tmp_path / "events.log")

    It is called as the core calls it: `notify` in a thread of the observer's own, or on the event
    loop if its class says `in_loop = True`, everything else on the loop. The sequence of events is
    the core's: take the events out of it, and neither keep nor change it.

    An observer that promises to lose nothing that it was told of before it was closed overrides
    `count_kept`; that declares `lossless`.
    """

    call_seconds: ClassVar[float] = 60
    """After so long a call blocks, on a machine that has much else to do."""

    @abstractmethod
    def make_observer(self, tmp_path: Path, clock: ManualClock) -> Observer:
        """Return a new observer, not opened. The kit opens and closes it."""

    def count_kept(self, observer: Observer, tmp_path: Path) -> int:
        """Return how many events are where the observer brings them, after it was closed.

        Called in a thread, where it may wait.
        """
        raise NotImplementedError

    def make_bench(self, tmp_path: Path) -> ObserverBench:
        """Return a workbench with an observer of its own."""
        clock = ManualClock()
        return ObserverBench(
            partial(made, Observer, self.make_observer, tmp_path, clock),
            tmp_path,
            call_seconds=self.call_seconds,
        )

    def subject(self, bench: ObserverBench) -> tuple[str, frozenset[str]]:
        """Return the observer's class name and what is declared of it."""
        is_lossless = type(self).count_kept is not ObserverContract.count_kept
        return type(bench.observer).__name__, frozenset({"lossless"} if is_lossless else ())

    async def test_it_wants_kinds_of_events_that_there_are(self, bench: ObserverBench) -> None:
        kinds = bench.observer.kinds
        assert kinds is None or kinds <= {*KINDS}
        assert kinds != frozenset(), "it is never told of anything"

    async def test_what_it_wants_does_not_change(self, bench: ObserverBench) -> None:
        # The core looks once, before it opens anything.
        kinds = bench.another().kinds
        assert bench.observer.kinds == kinds
        await bench.notify([event(kind) for kind in KINDS])
        assert bench.observer.kinds == kinds

    @pytest.mark.parametrize("kind", KINDS)
    async def test_every_kind_of_event_is_taken(
        self, bench: ObserverBench, kind: EventKind
    ) -> None:
        await bench.notify([event(kind)])
        await bench.notify([event(kind, moved_to="dead", reason="why", count=7, message_id=None)])

    @pytest.mark.parametrize("size", [1, 2, 100, 1000])
    async def test_operations_of_every_size_are_taken(
        self, bench: ObserverBench, size: int
    ) -> None:
        for kind in KINDS:
            await bench.notify([event(kind, message_id=number) for number in range(size)])

    async def test_one_operation_after_the_other_is_taken(self, bench: ObserverBench) -> None:
        for number in range(1000):
            await bench.notify([event(kind, message_id=number) for kind in KINDS])

    async def test_whatever_happened_is_taken(self, bench: ObserverBench) -> None:
        kinds = sorted(KINDS if bench.observer.kinds is None else bench.observer.kinds)
        await for_all(operations(kinds), bench.notify)

    async def test_what_it_is_told_is_not_changed(self, bench: ObserverBench) -> None:
        events = bench.wanted([event(kind, message_id=1000 - n) for n, kind in enumerate(KINDS)])
        told = [*events]
        await bench.hand(told)
        assert told == events

    async def test_the_sequence_that_it_is_told_is_not_kept(self, bench: ObserverBench) -> None:
        told = _Told(bench.wanted([event(kind) for kind in KINDS]))
        kept = weakref.ref(told)
        await bench.hand(told)
        del told
        gc.collect()
        assert kept() is None, "it keeps the sequence; take the events out of it"

    async def test_after_close_it_may_still_be_told(self, bench: ObserverBench) -> None:
        await bench.notify([event(kind) for kind in KINDS])
        await bench.close()
        await bench.notify([event(kind) for kind in KINDS])

    @needs("lossless")
    @pytest.mark.parametrize("last", [1, 2])
    async def test_what_it_was_told_before_it_was_closed_is_kept(
        self, bench: ObserverBench, last: int
    ) -> None:
        wanted = bench.wanted([event(kind) for kind in KINDS])
        sizes = [1 + number % len(wanted) for number in range(100)]
        for size in sizes:
            await bench.hand(wanted[:size])
        await bench.close(after=wanted[:last])
        kept = await asyncio.to_thread(self.count_kept, bench.observer, bench.folder)
        assert kept == sum(sizes) + len(wanted[:last])

    async def _check_works(self, bench: ObserverBench) -> None:
        await bench.notify([event(kind) for kind in KINDS])


class _Told(list[Event]):
    """A list of which can be known whether somebody has it."""
