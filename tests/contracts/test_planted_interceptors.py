"""The contract of interceptors finds what is planted."""

from pathlib import Path

import pytest
from contracts.interceptors import REFUSED, TAKEN, Marks
from contracts.planted import interceptors
from planting import failures, planted

from broker import Interceptor
from broker.testing import InterceptorContract

TAKE = "test_what_it_should_take_it_takes"
REFUSE = "test_what_it_should_refuse_it_refuses"
KEPT = "test_a_batch_keeps_its_length_and_its_queues"
UNTOUCHED = "test_what_it_was_given_is_not_changed"
STORABLE = "test_what_it_gives_can_be_stored"
PLACE = "test_a_refusal_names_the_place_in_the_batch"
LARGE = "test_a_large_body_is_taken_or_refused"

FOUND_BY = {
    interceptors.TakesWhatItShouldRefuse: REFUSE,
    interceptors.RefusesWhatItShouldTake: TAKE,
    interceptors.RaisesWhatItLikes: REFUSE,
    interceptors.LeavesOutWhatItRefuses: "test_one_refused_message_refuses_its_batch",
    interceptors.LooksAtTheFirstMessage: "test_one_refused_message_refuses_its_batch",
    interceptors.LooksAtHundredMessages: "test_as_many_as_a_batch_can_have_are_taken",
    interceptors.SortsTheBatch: KEPT,
    interceptors.SendsElsewhere: TAKE,
    interceptors.MarksWhatItWasGiven: UNTOUCHED,
    interceptors.EmptiesWhatItWasGiven: UNTOUCHED,
    interceptors.MarksAgain: "test_what_came_out_is_left_as_it_is",
    interceptors.NumbersMessages: "test_the_same_becomes_the_same",
    interceptors.HasOneBatchAtATime: "test_batches_at_the_same_time_do_not_meet",
    interceptors.StaysBusyWhenCancelled: "test_after_one_that_is_cancelled_it_goes_on",
    interceptors.WantsAMessage: "test_an_empty_batch_stays_empty",
    interceptors.WantsAnAddress: STORABLE,
    interceptors.GivesNoReason: "test_a_refusal_says_what_is_refused_and_why",
    interceptors.NamesNoPlace: PLACE,
    interceptors.CountsFromOne: PLACE,
    interceptors.RepeatsWhatItRefuses: LARGE,
    interceptors.GivesText: STORABLE,
    interceptors.WritesALongHeader: STORABLE,
    interceptors.WantsText: "test_whatever_is_published_is_taken_or_refused",
    interceptors.ReadsJsonWithoutABound: LARGE,
    interceptors.ClosesOnce: "test_closing_twice_is_harmless",
}
"""For each bug the name of a test that finds it."""


def contract_of(interceptor: type[Interceptor], **declared) -> type[InterceptorContract]:
    class Contract(InterceptorContract):
        taken = TAKEN
        refused = REFUSED

        def make_interceptor(self, tmp_path, clock):
            return interceptor()

    return type("Declared", (Contract,), declared)


class TestMarks(contract_of(Marks)):
    """What the bugs are planted in keeps the contract."""


@pytest.mark.parametrize("bug", FOUND_BY, ids=lambda bug: bug.__name__)
def test_a_planted_bug_is_found_by_the_test_of_that_name(
    tmp_path: Path, bug: type[Interceptor]
) -> None:
    assert failures(contract_of(Marks), FOUND_BY[bug], tmp_path / "sound") == []
    assert failures(contract_of(bug), FOUND_BY[bug], tmp_path / "bug") != []


def test_every_planted_bug_is_looked_for() -> None:
    assert {*FOUND_BY} == planted(Interceptor, interceptors)


def test_an_interceptor_that_says_too_little_of_itself_is_found(tmp_path: Path) -> None:
    quiet = contract_of(Marks, capabilities=frozenset({"places"}))
    name = "test_what_is_not_declared_idempotent_is_not"
    assert failures(quiet, name, tmp_path / "idempotent") != []

    harmless = contract_of(interceptors.RefusesWhatItShouldTake, refused={}, taken=TAKEN[:1])
    name = "test_who_names_nothing_that_is_refused_takes_everything"
    assert failures(harmless, name, tmp_path / "refused") != []
