"""Keys: the order of the bytes is the order that is asked for."""

from itertools import pairwise

from broker import limits
from broker.ordered import keys


def test_numbers_are_in_order_of_their_bytes() -> None:
    numbers = [0, 1, 255, 256, 65_535, 2**31, limits.MAX_INT64, keys.MAX]
    encoded = [keys.number(number) for number in numbers]
    assert encoded == sorted(encoded)
    assert [keys.last_number(key) for key in encoded] == numbers


def test_a_number_that_does_not_fit_is_the_next_that_does() -> None:
    assert keys.number(-1) == keys.number(0)
    assert keys.number(keys.MAX + 1) == keys.number(keys.MAX)


def test_messages_are_ordered_by_rank_then_by_id() -> None:
    ranks = [(0, 7), (1, 2), (1, 3), (256, 1)]
    found = [keys.by_number(5, keys.LEASED, rank, message_id) for rank, message_id in ranks]
    assert all(one < other for one, other in pairwise(found))


def test_after_all_comes_after_every_key_with_a_prefix_and_before_the_next() -> None:
    for queue_id in (1, 255, 256, 2**16 - 1):
        prefix = keys.of_queue(queue_id)
        assert prefix + b"\xff" * 40 < keys.after_all(prefix) <= keys.of_queue(queue_id + 1)


def test_no_key_is_longer_than_a_store_has_to_take() -> None:
    long = "ä" * limits.MAX_LABEL
    assert len(keys.queue("q" * 255)) == 256
    group = keys.of_queue(2**63, keys.WAITING_IN_GROUP) + keys.digest(long) + keys.number(1)
    ends = keys.of_queue(2**63, keys.DEDUP_END) + keys.number(1) + keys.digest(long)
    assert max(len(group), len(ends)) < 64


def test_kinds_of_keys_are_told_apart() -> None:
    kinds = [value for name, value in vars(keys).items() if name.isupper() and name[0] != "_"]
    single = [kind for kind in kinds if isinstance(kind, bytes) and kind != keys.IDS]
    single += [*keys.BY_STATE.values(), *keys.BY_END.values()]
    assert len(single) == len(set(single)) > 15
    assert {len(kind) for kind in single} == {1}
