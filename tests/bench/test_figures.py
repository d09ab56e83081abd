import pytest

from bench.figures import CORES, Measured, Row, Sample, collect


def test_a_row_has_the_median_of_its_rounds():
    rows = (Row(name="a"), Row(name="b"))
    rounds = [(Sample(figure, CORES / 2), Sample(-figure)) for figure in (1, 9, 2)]
    first, second = collect(rows, iter(rounds))
    assert (first.row, first.figure, first.spread, first.generator_share) == (
        rows[0],
        2,
        (1, 9),
        0.5,
    )
    assert (second.row, second.figure, second.spread) == (rows[1], -2, (-9, -1))


@pytest.mark.parametrize(
    ("bounds", "figure", "holds"),
    [
        ({}, 7, True),
        ({"at_least": 0.75}, 0.75, True),
        ({"at_least": 0.75}, 0.74, False),
        ({"at_most": 5}, 5, True),
        ({"at_most": 5}, 5.1, False),
    ],
)
def test_a_row_is_held_against_its_bound(bounds, figure, holds):
    measured = Measured(Row(name="a", **bounds), [Sample(figure)])
    assert measured.holds is holds
