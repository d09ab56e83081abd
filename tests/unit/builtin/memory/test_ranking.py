"""The set that knows its least member."""

import random

from broker.builtin.memory.ranking import Ranking


def drain(ranking: Ranking[int]) -> list[int]:
    keys = []
    while (key := ranking.first()) is not None:
        keys.append(key)
        ranking.discard(key)
    return keys


def test_keys_come_by_rank_and_equal_ranks_by_key() -> None:
    ranking: Ranking[int] = Ranking()
    for key, rank in [(3, 1), (1, 2), (2, 1), (4, -5)]:
        ranking.put(key, rank)
    assert drain(ranking) == [4, 2, 3, 1]


def test_an_empty_ranking_has_no_first() -> None:
    ranking: Ranking[int] = Ranking()
    assert (ranking.first(), ranking.first_rank(), ranking.first_due(10)) == (None, None, None)


def test_a_key_has_one_rank_the_last_one_given() -> None:
    ranking: Ranking[int] = Ranking()
    ranking.put(1, 5)
    ranking.put(2, 6)
    ranking.put(1, 7)
    assert (ranking.first(), ranking.first_rank(), len(ranking)) == (2, 6, 2)
    ranking.put(1, 5)
    assert drain(ranking) == [1, 2]


def test_a_discarded_key_is_gone_until_it_is_put_again() -> None:
    ranking: Ranking[int] = Ranking()
    ranking.put(1, 1)
    ranking.put(2, 2)
    ranking.discard(1)
    ranking.discard(1)
    assert 1 not in ranking
    assert ranking.first() == 2
    ranking.put(1, 1)
    assert drain(ranking) == [1, 2]


def test_the_first_is_due_when_its_time_has_come() -> None:
    ranking: Ranking[int] = Ranking()
    ranking.put(1, 10)
    assert ranking.first_due(9) is None
    assert ranking.first_due(10) == 1


def test_dead_entries_do_not_pile_up() -> None:
    ranking: Ranking[int] = Ranking()
    for rank in range(10_000):
        ranking.put(1, rank)
        ranking.put(2, 10_000 - rank)
    assert len(ranking._heap) < 100
    assert drain(ranking) == [2, 1]


def test_it_orders_as_sorting_does_whatever_happened_before() -> None:
    chance = random.Random(1)
    ranking: Ranking[int] = Ranking()
    expected: dict[int, int] = {}
    for _ in range(5_000):
        key = chance.randrange(300)
        if chance.random() < 0.3:
            ranking.discard(key)
            expected.pop(key, None)
        else:
            expected[key] = chance.randrange(50)
            ranking.put(key, expected[key])
    assert drain(ranking) == sorted(expected, key=lambda key: (expected[key], key))
