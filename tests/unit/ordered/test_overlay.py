"""Changes that are not made yet, seen as if they were."""

from random import Random

import pytest

from broker.ordered.overlay import Overlay
from sorted_dict import Disk, SortedDict


@pytest.fixture
def store() -> SortedDict:
    store = SortedDict(Disk({b"b": b"1", b"d": b"2", b"f": b"3"}))
    store.open()
    return store


def keys(overlay: Overlay, start: bytes = b"\0", stop: bytes = b"\xff") -> list[bytes]:
    return [key for key, _ in overlay.scan(start, stop)]


def test_what_was_changed_hides_what_lies_beneath(store: SortedDict) -> None:
    overlay = Overlay(store)
    overlay.put(b"b", b"new")
    overlay.delete(b"d")
    assert (overlay.get(b"b"), overlay.get(b"d"), overlay.get(b"f")) == (b"new", None, b"3")
    assert dict(overlay.scan(b"a", b"z")) == {b"b": b"new", b"f": b"3"}


def test_what_lies_beneath_stays_as_it_is(store: SortedDict) -> None:
    overlay = Overlay(store)
    overlay.put(b"a")
    overlay.delete(b"b")
    assert store.disk == {b"b": b"1", b"d": b"2", b"f": b"3"}
    assert overlay.changes == {b"a": b"", b"b": None}


def test_a_scan_has_both_in_order_and_keeps_to_its_range(store: SortedDict) -> None:
    overlay = Overlay(store)
    for key in (b"g", b"a", b"e", b"c"):
        overlay.put(key)
    assert keys(overlay) == [b"a", b"b", b"c", b"d", b"e", b"f", b"g"]
    assert keys(overlay, b"b", b"e") == [b"b", b"c", b"d"]
    overlay.delete(b"e")
    assert keys(overlay, b"d", b"f") == [b"d"]


def test_a_key_that_came_back_is_there_once(store: SortedDict) -> None:
    overlay = Overlay(store)
    for _ in range(2):
        overlay.delete(b"d")
        overlay.put(b"d", b"again")
        overlay.put(b"c")
        overlay.delete(b"c")
    assert dict(overlay.scan(b"c", b"e")) == {b"d": b"again"}


def test_changes_during_a_scan_do_not_disturb_it(store: SortedDict) -> None:
    overlay = Overlay(store)
    overlay.put(b"c")
    seen = []
    for key, _ in overlay.scan(b"\0", b"\xff"):
        seen.append(key)
        overlay.delete(key)
        overlay.put(key + b"+")
    assert seen == [b"b", b"c", b"d", b"f"]
    assert keys(overlay) == [b"b+", b"c+", b"d+", b"f+"]


def test_an_overlay_on_an_overlay_gives_its_changes_when_it_is_told(store: SortedDict) -> None:
    batch = Overlay(store)
    batch.put(b"c")
    operation = Overlay(batch)
    operation.delete(b"b")
    operation.put(b"c", b"3")
    assert (keys(operation), keys(batch)) == ([b"c", b"d", b"f"], [b"b", b"c", b"d", b"f"])
    batch.update(operation.changes)
    assert dict(batch.scan(b"a", b"d")) == {b"c": b"3"}


def test_the_size_tells_how_much_is_to_be_written(store: SortedDict) -> None:
    overlay = Overlay(store)
    overlay.put(b"key", bytes(1000))
    overlay.delete(b"b")
    assert overlay.size == 1004


def test_it_shows_what_a_dict_would_hold(store: SortedDict) -> None:
    random = Random(1)
    overlay, expected = Overlay(store), dict(store.disk)
    for _ in range(300):
        for _ in range(random.choice([1, 2, 50])):
            key = bytes(random.choices(b"abcdef", k=random.randint(1, 3)))
            if random.random() < 0.4:
                overlay.delete(key)
                expected.pop(key, None)
            else:
                overlay.put(key, b"%d" % random.randrange(10))
                expected[key] = overlay.changes[key]
        start, stop = sorted(random.choices([b"a", b"b", b"c", b"cc", b"f", b"g"], k=2))
        within = {key: expected[key] for key in sorted(expected) if start <= key < stop}
        assert list(overlay.scan(start, stop)) == list(within.items())
