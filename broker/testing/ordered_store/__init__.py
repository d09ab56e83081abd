"""The contract of ordered stores: short feedback, before a storage is built on one."""

from __future__ import annotations

from abc import abstractmethod
from functools import partial
from pathlib import Path
from random import Random

import pytest

from broker.errors import StorageFull, StorageLocked
from broker.ordered import OrderedStore
from broker.testing.contract import Contract, made
from broker.testing.crashing import Crashing
from broker.testing.ordered_store.bench import FIRST, LAST, LONGEST_KEY, StoreBench
from broker.testing.steps import python_steps

LARGEST_VALUE = 16 * 1024 * 1024
AWKWARD = [b"\x00", b"\x00\x00", b"\x00\xff", b"\x01", b"A", b"B", b"a", b"a\x00", b"aa", b"b"]
AWKWARD += [b"\x7f", b"\x80", b"\xc3\xa4", b"\xfe", b"\xfe\xff"]
"""Keys in their order, some of which text, numbers with signs or padding would put elsewhere."""


class OrderedStoreContract(Crashing, Contract):
    """Subclass it in a test module, return your store, and pytest runs some twenty short tests.

        class TestAcmeStore(OrderedStoreContract):
            def make_store(self, tmp_path):
                return AcmeStore(tmp_path / "acme.db")

    When they pass, run `StorageContract` against `OrderedStorage(AcmeStore(...))`.
    """

    @abstractmethod
    def make_store(self, tmp_path: Path) -> OrderedStore:
        """Return a new store, not opened, that keeps its data in `tmp_path`.

        One that is made there again, after the first was closed, must hold the same data.
        """

    def make_small_store(self, tmp_path: Path) -> OrderedStore | None:  # noqa: ARG002  # for those that override it
        """Return a store that has room for some megabytes, a hundred at the most.

        None, the default: it cannot be filled. What happens when it is full is not tested then.
        """
        return None

    def make_bench(self, tmp_path: Path) -> StoreBench:
        """Return a workbench with a store of its own."""
        return StoreBench(partial(made, OrderedStore, self.make_store), self.crash, tmp_path)

    def subject(self, bench: StoreBench) -> tuple[str, frozenset[str]]:
        """Return the store's class name; it has no capabilities of its own."""
        return type(bench.store).__name__, frozenset()

    async def test_a_new_store_holds_nothing(self, bench: StoreBench) -> None:
        assert bench.store.get(b"key") is None
        assert bench.keys() == []

    async def test_what_is_committed_is_read(self, bench: StoreBench) -> None:
        bench.commit({b"a": b"1", b"b": b"\x00\xff"})
        assert (bench.store.get(b"a"), bench.store.get(b"b")) == (b"1", b"\x00\xff")
        assert bench.everything() == {b"a": b"1", b"b": b"\x00\xff"}
        assert bench.store.get(b"ab") is None

    async def test_a_value_may_be_empty(self, bench: StoreBench) -> None:
        bench.commit({b"a": b""})
        assert bench.store.get(b"a") == b""
        assert bench.everything() == {b"a": b""}

    async def test_a_later_value_replaces_an_earlier_one(self, bench: StoreBench) -> None:
        bench.commit({b"a": b"a longer one", b"b": b"1"})
        bench.commit({b"a": b"2"})
        assert bench.everything() == {b"a": b"2", b"b": b"1"}

    async def test_a_deleted_key_is_gone(self, bench: StoreBench) -> None:
        bench.commit({b"a": b"1", b"b": b"2", b"c": b"3"})
        bench.commit({b"b": None, b"d": b"4"})
        assert bench.store.get(b"b") is None
        assert bench.keys() == [b"a", b"c", b"d"]

    async def test_what_is_not_there_may_be_deleted(self, bench: StoreBench) -> None:
        bench.commit({b"a": b"1"})
        bench.commit({b"b": None, b"c": b"3"})
        assert bench.keys() == [b"a", b"c"]

    async def test_a_deleted_key_may_come_back(self, bench: StoreBench) -> None:
        bench.commit({b"a": b"1"})
        bench.commit({b"a": None})
        bench.commit({b"a": b"2"})
        assert bench.everything() == {b"a": b"2"}

    async def test_a_scan_is_in_order_of_the_bytes(self, bench: StoreBench) -> None:
        shuffled = Random(1).sample(AWKWARD, k=len(AWKWARD))
        for key in shuffled[::2]:
            bench.commit({key: key})
        bench.commit({key: key for key in shuffled[1::2]})
        assert bench.keys() == AWKWARD

    async def test_a_scan_begins_with_its_start(self, bench: StoreBench) -> None:
        bench.commit(dict.fromkeys(AWKWARD, b""))
        for position, key in enumerate(AWKWARD):
            assert bench.keys(key) == AWKWARD[position:]
            assert bench.keys(key + b"\x00\x00") == [k for k in AWKWARD if k >= key + b"\x00\x00"]

    async def test_a_scan_ends_before_its_stop(self, bench: StoreBench) -> None:
        bench.commit(dict.fromkeys(AWKWARD, b""))
        for position, key in enumerate(AWKWARD):
            assert bench.keys(stop=key) == AWKWARD[:position]
        assert bench.keys(b"c", b"d") == []
        assert bench.keys(b"a", b"a") == []

    async def test_a_scan_reads_no_more_than_is_asked_for(self, bench: StoreBench) -> None:
        async def steps() -> int:
            async with python_steps() as counted:
                next(bench.store.scan(FIRST, LAST))
            return counted.taken

        bench.commit({b"%05d" % number: b"" for number in range(10)})
        few = await steps()
        bench.commit({b"%05d" % number: b"" for number in range(10_000)})
        assert await steps() <= 2 * few, "a scan goes through keys that nobody asked for"

    async def test_a_scan_may_be_left(self, bench: StoreBench) -> None:
        bench.commit({b"a": b"1", b"b": b"2"})
        scan = bench.store.scan(FIRST, LAST)
        assert next(scan) == (b"a", b"1")
        del scan
        bench.commit({b"a": b"3"})
        assert bench.everything() == {b"a": b"3", b"b": b"2"}

    async def test_two_scans_go_on_side_by_side(self, bench: StoreBench) -> None:
        bench.commit(dict.fromkeys(AWKWARD, b""))
        pairs = zip(bench.store.scan(FIRST, LAST), bench.store.scan(b"a", LAST), strict=False)
        assert [one for (one, _), _ in pairs] == AWKWARD[: len(bench.keys(b"a"))]
        for key, _ in bench.store.scan(FIRST, LAST):
            assert bench.store.get(key) == b""

    async def test_the_longest_key_and_the_largest_value_fit(self, bench: StoreBench) -> None:
        keys = [b"k" * (LONGEST_KEY - 1) + last for last in (b"a", b"b")]
        bench.commit({keys[0]: bytes(LARGEST_VALUE), keys[1]: b"2"})
        assert bench.store.get(keys[0]) == bytes(LARGEST_VALUE)
        assert bench.store.get(keys[1]) == b"2"
        assert bench.keys() == keys

    async def test_everything_is_there_after_reopening(self, bench: StoreBench) -> None:
        bench.commit({b"a": b"1", b"b": b"2", b"c": b""})
        bench.commit({b"a": b"3", b"b": None})
        bench.reopen()
        assert bench.everything() == {b"a": b"3", b"c": b""}
        bench.commit({b"d": b"4"})
        bench.reopen()
        assert bench.keys() == [b"a", b"c", b"d"]

    async def test_everything_is_there_after_a_crash(self, bench: StoreBench) -> None:
        bench.commit({b"%d" % number: b"1" for number in range(1000)})
        bench.commit({b"%d" % number: None for number in range(500)})
        bench.commit({b"999": b"2", b"last": b""})
        before = bench.everything()
        bench.crash()
        assert bench.everything() == before

    async def test_a_store_that_is_open_is_locked_for_others(self, bench: StoreBench) -> None:
        with pytest.raises(StorageLocked):
            bench.second().open()
        bench.commit({b"a": b"1"})
        bench.reopen()
        assert bench.everything() == {b"a": b"1"}

    async def test_it_holds_what_a_dict_would_hold(self, bench: StoreBench) -> None:
        random = Random(2)
        expected: dict[bytes, bytes] = {}
        for number in range(300):
            changes = {_key(random): _value(random) for _ in range(random.randrange(20))}
            bench.commit(changes)
            expected |= {key: value for key, value in changes.items() if value is not None}
            expected = {key: expected[key] for key in expected if changes.get(key, b"") is not None}
            start, stop = sorted((_key(random), _key(random)))
            within = sorted(key for key in expected if start <= key < stop)
            assert bench.keys(start, stop) == within, f"after commit {number}"
            if number % 100 == 99:
                bench.reopen()
        assert bench.everything() == expected

    async def test_a_commit_that_is_refused_changes_nothing(self, bench: StoreBench) -> None:
        folder = bench.folder / "small"
        folder.mkdir()
        if self.make_small_store(folder) is None:
            pytest.skip("make_small_store makes none")
        async with StoreBench(self.make_small_store, self.crash, folder) as small:
            before = fill(small)
            assert small.everything() == before
            small.commit(dict.fromkeys(list(before)[1:]))
            small.commit({b"new": b"1"})
            assert small.keys() == [*list(before)[:1], b"new"]
            small.reopen()
            assert small.keys() == [*list(before)[:1], b"new"]


def fill(bench: StoreBench) -> dict[bytes, bytes]:
    """Commit until there is no room; return what was kept before."""
    for number in range(1000):
        before = bench.everything()
        changes = {b"%03d-%d" % (number, part): bytes(17_000 * part) for part in range(5)}
        try:
            bench.commit({**changes, **dict.fromkeys(list(before)[:1], b"changed")})
        except StorageFull:
            return before
    raise AssertionError("170 MB fit, and no commit raised StorageFull")


def _key(random: Random) -> bytes:
    return bytes(random.choices(b"\x00a\xff", k=random.randint(1, 4)))


def _value(random: Random) -> bytes | None:
    return random.choice([None, b"", b"1", b"22", bytes(5000)])
