import pytest
from broker_ratelimit.counters import Window
from broker_ratelimit.rates import read_rate
from hypothesis import given
from hypothesis import strategies as st

EXAMPLE = 'expected for example "10/minute", or "200/second; 5000/minute"'
UNITS = "expected second, minute, hour, day, month or year"
AMOUNT = "expected an amount from 1 to 1000000000"
TIME = "expected a time from a second to a year"


@pytest.mark.parametrize(
    ("text", "windows"),
    [
        ("10/minute", [Window(10, 60)]),
        ("10 per minute", [Window(10, 60)]),
        ("10 / 5 Minutes", [Window(10, 300)]),
        ("1/day", [Window(1, 86_400)]),
        ("200/second; 5000/minute", [Window(200, 1), Window(5000, 60)]),
        ("5000/minute;200/second", [Window(200, 1), Window(5000, 60)]),  # the shortest first
        ("1/hour, 1/second | 1/minute", [Window(1, 1), Window(1, 60), Window(1, 3600)]),
        ("900/second; 5/minute", [Window(900, 1), Window(5, 60)]),  # of which one never matters
        ("1000000000/366days", [Window(10**9, 31_622_400)]),
    ],
)
def test_a_rate_is_read_as_windows(text, windows):
    assert read_rate(text) == tuple(windows)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", EXAMPLE),
        (" ", EXAMPLE),
        ("10", EXAMPLE),
        ("/second", EXAMPLE),
        ("ten/second", EXAMPLE),
        ("-1/second", EXAMPLE),
        ("1.5/second", EXAMPLE),
        ("1e3/second", EXAMPLE),
        ("1_000/second", EXAMPLE),
        ("١/second", EXAMPLE),
        ("10/second/minute", EXAMPLE),
        ("10persecond", EXAMPLE),
        ("10/second;", EXAMPLE),
        (";10/second", EXAMPLE),
        ("10/second:;5/minute", EXAMPLE),  # the library reads two rates
        ("10/second & 5/minute", EXAMPLE),
        ("10/second!", EXAMPLE),
        ("10/second\n", EXAMPLE),
        ("10\t/second", EXAMPLE),
        ("10/fortnight", UNITS),
        ("10/s", UNITS),
        ("10/second; 5/fortnight", UNITS),
        ("0/second", AMOUNT),
        ("000/second", AMOUNT),
        ("1000000001/second", AMOUNT),
        ("9" * 5000 + "/second", AMOUNT),
        ("10/0second", TIME),  # the library reads one second
        ("10/2years", TIME),
        ("10/" + "9" * 5000 + "seconds", TIME),
        ("10/minute; 20/60seconds", "says twice how much in 60 s"),
        ("10/minute; 10/minute", "says twice how much in 60 s"),
    ],
)
def test_what_is_no_rate_is_refused(text, reason):
    with pytest.raises(ValueError) as refused:
        read_rate(text)
    assert str(refused.value) == reason


@given(st.text(alphabet="0123456789/;,| persconda\n\0-.ſ"))
def test_any_text_is_windows_or_refused(text):
    try:
        windows = read_rate(text)
    except ValueError as refused:
        assert str(refused).startswith(("expected ", "says twice "))
    else:
        assert all(1 <= w.amount <= 10**9 and 1 <= w.seconds <= 31_622_400 for w in windows)
