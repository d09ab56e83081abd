import pytest
from broker_ratelimit.counters import Count, Window
from broker_ratelimit.sliding import reset_ms, spent, wait_ms
from hypothesis import given
from hypothesis import strategies as st

TEN_A_SECOND = Window(10, 1)


def later(window: Window, count: Count, ms: int) -> Count:
    """How a count stands some time later, if nobody spends meanwhile."""
    windows, elapsed_ms = divmod(count.elapsed_ms + ms, window.milliseconds)
    previous, current = [(count.previous, count.current), (count.current, 0), (0, 0)][windows]
    return Count(previous, current, elapsed_ms)


@st.composite
def situations(draw, windows):
    window = draw(windows)
    most = window.amount + draw(st.sampled_from([0, 0, 10**9]))  # the limit was higher before
    counts = st.integers(0, most)
    elapsed_ms = draw(st.integers(0, window.milliseconds - 1))
    return (
        window,
        Count(draw(counts), draw(counts), elapsed_ms),
        draw(st.integers(1, window.amount)),
    )


ANY = st.builds(Window, st.integers(1, 10**9), st.integers(1, 31_622_400))
SMALL = st.builds(Window, st.integers(1, 12), st.just(1))


@given(situations(ANY))
def test_cost_fits_after_the_wait_and_not_a_millisecond_earlier(situation):
    window, count, cost = situation

    wait = wait_ms(window, count, cost)

    assert spent(window, later(window, count, wait)) + cost <= window.amount
    if wait:
        assert spent(window, later(window, count, wait - 1)) + cost > window.amount


@given(situations(SMALL))
def test_wait_is_what_trying_each_millisecond_finds(situation):
    window, count, cost = situation

    tried = next(
        ms for ms in range(2001) if spent(window, later(window, count, ms)) + cost <= window.amount
    )

    assert wait_ms(window, count, cost) == tried


@given(situations(ANY))
def test_reset_is_when_nothing_is_spent_any_more(situation):
    window, count, _ = situation

    reset = reset_ms(window, count)

    assert spent(window, later(window, count, reset)) == 0
    if reset:
        assert spent(window, later(window, count, reset - 1)) > 0


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (Count(0, 0, 0), 0),
        (Count(0, 7, 500), 7),
        (Count(10, 0, 0), 10),
        (Count(10, 0, 1), 9),  # 9.99
        (Count(10, 0, 100), 9),  # 9.00
        (Count(10, 0, 101), 8),  # 8.99
        (Count(10, 4, 500), 9),
        (Count(1, 0, 1), 0),
        (Count(10, 0, 999), 0),
    ],
)
def test_what_is_spent_fades_away_and_is_rounded_down(count, expected):
    assert spent(TEN_A_SECOND, count) == expected


@pytest.mark.parametrize(
    ("count", "cost", "expected"),
    [
        (Count(0, 0, 0), 10, 0),
        (Count(0, 0, 0), 11, None),
        (Count(0, 10, 0), 1, 1001),  # in the next window, 9.99 of the ten are left
        (Count(0, 10, 999), 1, 2),
        (Count(10, 0, 0), 1, 1),
        (Count(10, 0, 0), 2, 101),
        (Count(10, 5, 0), 1, 501),  # five, and less than five of the ten
        (Count(0, 10, 400), 10, 1501),  # when the last of them is less than a whole one
    ],
)
def test_wait_in_milliseconds(count, cost, expected):
    assert wait_ms(TEN_A_SECOND, count, cost) == expected
