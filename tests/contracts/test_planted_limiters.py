"""The contract of rate limiters finds what is planted."""

from pathlib import Path

import pytest
from contracts.limiters import Bucket, FixedWindow
from contracts.planted import limiters
from planting import failures, planted

from broker import RateLimiter
from broker.testing import RateLimiterContract

SAME = "test_the_same_is_admitted_when_a_refusal_says"
ANY = "test_whatever_is_spent_is_allowed_or_not_or_unavailable"

FOUND_BY = {
    limiters.LooksAndTakesLater: "test_of_many_at_once_exactly_as_many_are_admitted",
    limiters.AdmitsOneMore: "test_as_much_is_admitted_as_the_limit_says",
    limiters.TakesEachSpendingByItself: "test_spendings_of_a_request_are_taken_together",
    limiters.TakesWhatItRefuses: "test_more_than_the_limit_is_never_worth_trying_again",
    limiters.TakesTheRestOfWhatIsTooMuch: "test_a_cost_is_taken_whole_or_not_at_all",
    limiters.CountsRequests: "test_all_of_the_limit_can_be_spent_at_once",
    limiters.DoesNotCountLogins: "test_who_logs_in_is_an_address",
    limiters.KnowsOnlyAddresses: "test_each_identity_has_the_limit_for_itself",
    limiters.KnowsAnIdentityAtEachAddressAnew: "test_an_identity_has_it_once_at_all_addresses",
    limiters.TakesANameForAnAddress: "test_nobody_passes_for_another",
    limiters.TakesAllAnonymousForOne: "test_the_anonymous_are_their_addresses",
    limiters.StripsNames: "test_nobody_passes_for_another",
    limiters.CountsForEachQueueByItself: "test_what_concerns_no_queue_spends_of_the_limit",
    limiters.NamesATimeForWhatIsNeverAllowed: "test_more_than_the_limit_is_never_worth_trying_again",
    limiters.NamesMilliseconds: "test_a_refusal_says_when_to_try_again",
    limiters.NamesNoTime: "test_a_refusal_says_when_to_try_again",
    limiters.NamesATimeThatIsTooEarly: SAME,
    limiters.NamesWholeSeconds: "test_a_millisecond_before_it_is_refused",
    limiters.WaitsForTheFirstLimitThatRefuses: "test_a_refusal_waits_for_the_slowest_limit",
    limiters.PutsOffWhoIsRefused: "test_what_is_refused_puts_nothing_off",
    limiters.SavesUp: "test_after_a_long_time_there_is_no_more_than_the_limit",
    limiters.BeginsAnewTooOften: "test_whoever_spends_whenever_gets_what_the_limit_says",
    limiters.TellsLessThanNothing: "test_a_quota_tells_what_is_left",
    limiters.TellsWhatWasLeftBefore: "test_a_quota_tells_what_is_left",
    limiters.RefusesInAnothersName: "test_a_refusal_names_one_of_the_quotas",
    limiters.TakesFromOneLimitAfterTheOther: "test_what_one_limit_refuses_is_taken_from_no_other",
    limiters.TakesAgainWhatIsCancelled: "test_what_is_cancelled_counts_once_or_not_at_all",
    limiters.CancelsOthersAlong: "test_others_are_not_cancelled_along",
    limiters.ChokesOnStrangeNames: ANY,
    limiters.RaisesWhenClosedTwice: "test_closing_twice_is_harmless",
    limiters.RaisesAfterClose: "test_after_close_it_answers_or_is_unavailable",
}
"""For each bug the name of a test that finds it."""


def contract_of(limiter: type[RateLimiter]) -> type[RateLimiterContract]:
    class Contract(RateLimiterContract):
        capabilities = RateLimiterContract.capabilities | {"queues"}

        def make_rate_limiter(self, tmp_path, clock, limits):
            return limiter(limits[0] if issubclass(limiter, Bucket) else limits, clock)

    return Contract


@pytest.mark.parametrize("bug", FOUND_BY, ids=lambda bug: bug.__name__)
def test_a_planted_bug_is_found_by_the_test_of_that_name(
    tmp_path: Path, bug: type[RateLimiter]
) -> None:
    sound = Bucket if issubclass(bug, Bucket) else FixedWindow
    assert failures(contract_of(sound), FOUND_BY[bug], tmp_path / "sound") == []
    assert failures(contract_of(bug), FOUND_BY[bug], tmp_path / "bug") != []


def test_every_planted_bug_is_looked_for() -> None:
    assert {*FOUND_BY} == planted(RateLimiter, limiters)
