"""The authorizer contract finds what is planted: for each bug, a test that is there for it."""

import pytest
from planting import failures, planted

from broker import Authorizer
from broker.builtin.scopes import ScopeAuthorizer
from contracts.planted import authorizers
from contracts.scopes import Scopes

FOUND_BY = {
    authorizers.PermitsWhatNobodyForbids: "test_who_has_nothing_may_do_nothing",
    authorizers.PermitsAnonymousWhatConcernsNoQueue: "test_who_has_nothing_may_do_nothing",
    authorizers.TakesTheBeginningOfAnAction: "test_an_action_that_nobody_knows_is_not_permitted",
    authorizers.TakesTheBeginningOfAQueue: "test_what_is_denied_is_denied",
    authorizers.TakesNoQueueForAny: "test_what_is_denied_is_denied",
    authorizers.BreaksWithoutAQueue: "test_what_concerns_no_queue_has_an_answer",
    authorizers.BreaksOnStrangeNames: "test_any_name_of_a_queue_has_an_answer",
    authorizers.BreaksOnStrangeScopes: "test_any_identity_has_an_answer",
    authorizers.RemembersWhatWasAskedAndNotByWhom: "test_the_answer_to_one_is_not_that_to_another",
    authorizers.TiresOfQuestions: "test_the_same_question_has_the_same_answer",
    authorizers.KnowsOnlyScopesForAllQueues: "test_who_may_do_it_with_some_queue_is_never_told_otherwise",
    authorizers.ForgetsThatAdminsMayDoAll: "test_any_name_of_a_queue_has_an_answer",
    authorizers.ReturnsWhatItFound: "test_what_is_permitted_is_permitted",
    authorizers.PermitsLater: "test_what_is_permitted_is_permitted",
    authorizers.LooksIntoAFile: "test_it_answers_from_memory",
    authorizers.PermitsAllUntilItIsOpen: "test_what_is_not_open_permits_nothing_that_is_denied",
    authorizers.ClosesOnce: "test_closing_twice_is_harmless",
}
"""For each bug the name of a test that finds it."""


def contract_of(authorizer):
    return type("Contract", (Scopes,), {"kind": authorizer})


@pytest.mark.parametrize("bug", FOUND_BY, ids=lambda bug: bug.__name__)
def test_a_planted_bug_is_found_by_the_test_of_that_name(tmp_path, bug):
    assert failures(contract_of(ScopeAuthorizer), FOUND_BY[bug], tmp_path / "sound") == []
    assert failures(contract_of(bug), FOUND_BY[bug], tmp_path / "bug") != []


def test_every_planted_bug_is_looked_for():
    assert {*FOUND_BY} == planted(Authorizer, authorizers)
