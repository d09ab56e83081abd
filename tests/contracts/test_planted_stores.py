"""The contract of ordered stores finds what is planted: the test that is there for it fails."""

from pathlib import Path

import pytest

from broker import OrderedStore
from broker.testing import OrderedStoreContract
from contracts.planted import stores
from contracts.test_ordered import Disks
from planting import failures, planted
from sorted_dict import SortedDict

FOUND_BY = {
    stores.LosesTheLastCommit: "test_everything_is_there_after_a_crash",
    stores.LosesDeletesAtTheEnd: "test_everything_is_there_after_reopening",
    stores.CommitsHalf: "test_a_commit_that_is_refused_changes_nothing",
    stores.ReadsWhatWasRefused: "test_a_commit_that_is_refused_changes_nothing",
    stores.StaysFull: "test_a_commit_that_is_refused_changes_nothing",
    stores.ForgetsDeletes: "test_a_deleted_key_is_gone",
    stores.KeepsDeletedKeysForReaders: "test_a_deleted_key_is_gone",
    stores.DropsEmptyValues: "test_a_value_may_be_empty",
    stores.KeepsTheFirstValue: "test_a_later_value_replaces_an_earlier_one",
    stores.ScansInOrderOfInsertion: "test_a_scan_is_in_order_of_the_bytes",
    stores.ScansInOrderOfSignedBytes: "test_a_scan_is_in_order_of_the_bytes",
    stores.ScansPastTheEnd: "test_a_scan_ends_before_its_stop",
    stores.SkipsTheStartOfAScan: "test_a_scan_begins_with_its_start",
    stores.ScansEverythingFirst: "test_a_scan_reads_no_more_than_is_asked_for",
    stores.HasOneCursor: "test_two_scans_go_on_side_by_side",
    stores.CutsKeys: "test_the_longest_key_and_the_largest_value_fit",
    stores.LetsOthersIn: "test_a_store_that_is_open_is_locked_for_others",
    stores.StaysLocked: "test_a_store_that_is_open_is_locked_for_others",
}
"""For each bug the name of a test that finds it."""


def contract_of(store: type[SortedDict]) -> type[OrderedStoreContract]:
    class Contract(OrderedStoreContract):
        def __init__(self) -> None:
            self.disks = Disks()

        def make_store(self, tmp_path: Path) -> OrderedStore:
            return store(self.disks.at(tmp_path))

        def make_small_store(self, tmp_path: Path) -> OrderedStore:
            disk = self.disks.at(tmp_path)
            disk.room = disk.room or 1_000_000
            return store(disk)

        def crash(self, tmp_path: Path) -> Path:
            return self.disks.crash(tmp_path)

    return Contract


@pytest.mark.parametrize("bug", FOUND_BY, ids=lambda bug: bug.__name__)
def test_a_planted_bug_is_found_by_the_test_of_that_name(
    tmp_path: Path, bug: type[SortedDict]
) -> None:
    assert failures(contract_of(SortedDict), FOUND_BY[bug], tmp_path / "sound") == []
    assert failures(contract_of(bug), FOUND_BY[bug], tmp_path / "bug") != []


def test_every_planted_bug_is_looked_for() -> None:
    assert {*FOUND_BY} == planted(SortedDict, stores)
