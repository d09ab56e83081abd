"""The contract finds what is planted: for each bug, the test that is there for it fails."""

from pathlib import Path

import pytest
from planting import failures, planted

from broker import Storage
from broker.builtin.memory import MemoryStorage
from broker.testing import ManualClock, StorageContract
from broker_storage_sqlite.storage import SQLiteStorage
from contracts.planted import browsing, durability, ending, leasing, publishing, settling, telling

RACE = "test_a_race_leases_no_message_twice_and_loses_none"

FOUND_BY = {
    leasing.LeasesTheLastFirst: "test_lease_order_is_the_order_of_publishing",
    leasing.IgnoresPriority: "test_a_higher_priority_goes_first",
    leasing.IgnoresDelays: "test_a_delayed_message_is_leased_when_its_time_comes",
    leasing.PassesDelayedHeadsOfGroups: "test_a_delayed_head_holds_its_group_back",
    leasing.LeasesAMillisecondTooLong: "test_a_lapsed_message_is_leased_again",
    leasing.LeasesAMillisecondTooShort: "test_a_leased_message_is_not_leased_again",
    leasing.DoesNotCountDeliveries: "test_a_second_delivery_is_counted_and_keeps_the_time_of_the_first",
    leasing.TakesItsTimeToWithdrawWhatItLeased: RACE,
    leasing.GivesAMessageTheSameTokenAgain: "test_every_lease_has_a_token_of_its_own",
    leasing.CountsLapsedLeasesAsInFlight: "test_a_lapsed_lease_frees_its_place_in_flight",
    leasing.LeasesFromPausedQueues: "test_a_paused_queue_leases_nothing_and_says_so",
    leasing.LeasesWhatIsBrowsed: "test_browsing_changes_nothing",
    leasing.LooksPastAllThatIsDelayed: "test_a_crowd_makes_no_operation_longer",
    settling.ChecksNoToken: "test_a_token_that_is_not_that_of_the_lease_is_stale",
    settling.TakesTokensOfEarlierLeases: "test_a_late_ack_is_stale_once_the_message_was_leased_again",
    settling.ComparesTokensAndSettlesLater: "test_of_two_that_settle_one_lease_one_wins",
    settling.ForgetsTheTokenOfAnAck: "test_the_same_ack_again_is_ok_and_counts_once",
    settling.TakesNoLateAck: "test_a_late_ack_is_taken",
    settling.SettlesBeforeItPublishes: "test_nothing_happens_when_the_queue_is_full",
    settling.ShortensLeases: "test_extend_never_makes_a_lease_shorter",
    settling.CountsReleasedDeliveries: "test_release_gives_a_message_back_as_if_not_delivered",
    ending.MovesDeadLettersInTwoSteps: "test_a_cancelled_reject_leaves_the_message_in_one_queue",
    ending.GivesDeadLettersNewIds: "test_a_rejected_message_moves_to_the_dead_letter_queue",
    ending.PurgesWithoutCounting: "test_a_deleted_message_is_gone_and_counted",
    ending.PurgesWithoutCountingBytes: "test_a_purge_without_states_takes_everything",
    ending.RedrivesWithTheOldCount: "test_a_redriven_message_is_delivered_as_often_as_a_new_one",
    ending.ExpiresWhatIsLeased: "test_a_leased_message_does_not_expire",
    ending.RetainsFromTheBeginningOfAMessage: "test_retention_counts_from_the_end_of_a_message",
    ending.CountsTheSameLapseAgain: "test_a_lapse_is_noticed_and_counted_once",
    publishing.ForgetsDedupKeysAtAck: "test_a_key_outlives_an_ack_and_the_removal_of_the_message",
    publishing.RemembersDedupKeysAcrossQueues: "test_keys_of_other_queues_do_not_matter",
    publishing.PublishesBatchesOneByOne: "test_a_batch_with_an_unknown_queue_is_refused_whole",
    publishing.RefusesToPublishWhilePaused: "test_a_paused_queue_still_settles_and_publishes",
    publishing.GivesIdsAgainAfterADrop: "test_a_later_queue_of_the_same_name_is_another_one",
    publishing.GivesQueueIdsAgainAfterADrop: "test_a_later_queue_of_the_same_name_is_another_one",
    publishing.KeepsDedupKeysOfADroppedQueue: "test_a_key_dies_with_its_queue",
    publishing.IgnoresVersions: "test_expecting_another_version_changes_nothing",
    publishing.CountsLeasedMessagesAgainstTheLimit: "test_a_leased_message_makes_room",
    telling.TellsNothingOfWhatALeaseEnded: "test_what_a_lease_ended_is_told_once",
    telling.TellsAgainWhatALeaseEnded: "test_what_a_lease_ended_is_told_once",
    telling.TellsNothingOfWhatMaintainEnded: "test_what_maintain_ended_is_told_once",
    telling.TellsWhereADeadLetterIsInsteadOfWhereItWas: "test_the_last_lapse_makes_a_dead_letter",
    telling.TellsTheFirstOriginOfALetter: "test_a_letter_that_ends_again_is_told_of_where_it_was_last",
    telling.TellsTheDeadLetterQueueOfThePolicy: "test_a_dead_letter_queue_that_takes_nothing_is_not_told",
    telling.TellsOfWhatOthersEndMeanwhile: "test_of_many_that_lease_and_maintain_each_end_is_told_once_and_counted",
    telling.TellsThatWhatExpiredHasFailed: "test_an_expired_message_is_removed_and_counted",
    telling.TellsTheReasonOfTheLastRetry: "test_a_retry_that_is_not_the_last_tells_of_no_failure",
    telling.TellsLapsesOfTheWrongQueue: "test_lapses_are_told_by_queue",
    telling.TellsWhatItPublishedAsNew: "test_a_settle_that_publishes_a_duplicate_tells_the_first_id",
    telling.TellsOfNothingThatASettlePublished: "test_a_settle_that_publishes_tells_the_ids",
    telling.TellsWhereRedrivenWere: "test_what_is_redriven_is_told_with_the_queue_where_it_is_now",
    telling.TellsTheQueueThatWasAskedFor: "test_what_is_deleted_is_told_with_its_queue",
    browsing.GivesEachPageABudgetOfItsOwn: "test_all_pages_share_one_budget_of_bytes",
    browsing.EndsWhatItDidNotLookFor: "test_who_goes_on_where_pages_end_gets_each_message_once",
    browsing.BeginsAgainWithWhatItDidNotLookFor: "test_a_page_that_was_not_looked_for_goes_on_where_its_query_began",
    browsing.GoesOnAfterWhatItLeftOut: "test_who_goes_on_where_pages_end_gets_each_message_once",
    browsing.GivesOnePageForEachQueue: "test_each_query_gets_the_page_that_it_gets_alone",
    browsing.ReadsThePagesOfLongQueuesLast: "test_each_query_gets_the_page_that_it_gets_alone",
    browsing.SearchesFromTheBeginningAgain: "test_a_search_that_was_not_looked_for_goes_on_where_it_began",
    durability.ForgetsDeliveryCounts: "test_everything_is_there_after_reopening",
    durability.ForgetsTotals: "test_everything_is_there_after_reopening",
    durability.ForgetsLeases: "test_a_lease_can_be_settled_after_reopening",
    durability.ForgetsDedupKeys: "test_a_dedup_key_is_remembered_after_reopening",
    durability.ForgetsWhichIdsItGave: "test_ids_are_not_used_again_after_reopening",
    durability.LetsOthersReadItsFile: "test_its_files_are_for_their_owner_alone",
    durability.LetsItsGroupWriteWhatItLeaves: "test_its_files_are_for_their_owner_alone",
    durability.WritesADiaryForEverybody: "test_its_files_are_for_their_owner_alone",
    durability.CommitsEachMessageOfABatch: "test_a_batch_that_does_not_fit_is_refused_whole",
}
"""For each bug the name of a test that finds it."""


def contract_of(storage: type[Storage]) -> type[StorageContract]:
    class Contract(StorageContract):
        race_messages = 2000
        crowd_messages = 1000

        def make_storage(self, tmp_path: Path, clock: ManualClock) -> Storage:
            return (
                storage(tmp_path / "broker.db") if issubclass(storage, SQLiteStorage) else storage()
            )

    return Contract


@pytest.mark.parametrize("bug", FOUND_BY, ids=lambda bug: bug.__name__)
def test_a_planted_bug_is_found_by_the_test_of_that_name(
    tmp_path: Path, bug: type[Storage]
) -> None:
    sound = SQLiteStorage if issubclass(bug, SQLiteStorage) else MemoryStorage
    assert failures(contract_of(sound), FOUND_BY[bug], tmp_path / "sound") == []
    assert failures(contract_of(bug), FOUND_BY[bug], tmp_path / "bug") != []


def test_every_planted_bug_is_looked_for() -> None:
    modules = (browsing, durability, ending, leasing, publishing, settling, telling)
    assert {*FOUND_BY} == planted(Storage, *modules)
