"""The contract of observers finds what is planted."""

from pathlib import Path

import pytest
from contracts.observers import Relays, Writes
from contracts.planted import observers
from planting import failures, planted

from broker import Observer
from broker.testing import ObserverContract

CALLS = "test_one_operation_after_the_other_is_taken"
KIND = "test_every_kind_of_event_is_taken"
UNCHANGED = "test_what_it_is_told_is_not_changed"
KEPT = "test_what_it_was_told_before_it_was_closed_is_kept"

FOUND_BY = {
    observers.WaitsForEver: CALLS,
    observers.KeepsTheLoopForEver: CALLS,
    observers.ClosesForEver: "test_closing_twice_is_harmless",
    observers.KnowsNoUpkeep: KIND,
    observers.WantsWhatIsNever: "test_it_wants_kinds_of_events_that_there_are",
    observers.WantsNothing: "test_it_wants_kinds_of_events_that_there_are",
    observers.WantsMoreWhenItIsOpen: "test_what_it_wants_does_not_change",
    observers.NeedsAMessage: KIND,
    observers.TakesNoMoreThanFits: "test_operations_of_every_size_are_taken",
    observers.NumbersOperationsInAByte: CALLS,
    observers.SortsWhatItIsTold: UNCHANGED,
    observers.EmptiesWhatItIsTold: UNCHANGED,
    observers.KeepsWhatItIsTold: "test_the_sequence_that_it_is_told_is_not_kept",
    observers.WritesAscii: "test_whatever_happened_is_taken",
    observers.NeedsALoop: CALLS,
    observers.WritesAfterClose: "test_after_close_it_may_still_be_told",
    observers.ClosesOnce: "test_closing_twice_is_harmless",
    observers.ClosesWhatItNeverOpened: "test_closing_without_opening_is_harmless",
    observers.LosesTheRest: KEPT,
    observers.LosesWhatIsOnItsWay: KEPT,
    observers.WritesTwice: KEPT,
    observers.IsNeverWell: "test_an_open_one_answers_ping",
}
"""For each bug the name of a test that finds it."""

BLOCKING = (observers.WaitsForEver, observers.KeepsTheLoopForEver, observers.ClosesForEver)


def contract_of(observer: type[Observer]) -> type[ObserverContract]:
    class Contract(ObserverContract):
        # What never ends is found as well after a moment.
        call_seconds = 0.5 if observer in BLOCKING else 60

        def make_observer(self, tmp_path, clock):
            return observer() if issubclass(observer, Relays) else observer(tmp_path / "events")

        def count_kept(self, observer, tmp_path):
            if isinstance(observer, Relays):
                return observer.counted
            return len((tmp_path / "events").read_text().splitlines())

    return Contract


class TestWrites(contract_of(Writes)):
    """What the bugs are planted in keeps the contract."""


class TestRelays(contract_of(Relays)):
    """So does this, on the event loop."""


@pytest.mark.parametrize("bug", FOUND_BY, ids=lambda bug: bug.__name__)
def test_a_planted_bug_is_found_by_the_test_of_that_name(
    tmp_path: Path, bug: type[Observer]
) -> None:
    sound = Relays if issubclass(bug, Relays) else Writes
    assert failures(contract_of(sound), FOUND_BY[bug], tmp_path / "sound") == []
    assert failures(contract_of(bug), FOUND_BY[bug], tmp_path / "bug") != []


@pytest.mark.parametrize("bug", BLOCKING, ids=lambda bug: bug.__name__)
def test_what_blocks_longer_than_a_test_may_take_does_not_hang_it(
    tmp_path: Path, bug: type[Observer]
) -> None:
    class Contract(contract_of(bug)):
        patience_seconds, call_seconds = 0.5, 60

    assert failures(Contract, FOUND_BY[bug], tmp_path) != []


def test_every_planted_bug_is_looked_for() -> None:
    assert {*FOUND_BY} == planted(Observer, observers)
