"""Durations on the command line."""

import pytest

from broker import read_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("0", 0),
        ("45s", 45),
        ("10m", 600),
        ("1.5h", 5400),
        ("7d", 604_800),
        (" 2w ", 1_209_600),
    ],
)
def test_a_duration_is_a_number_with_a_unit(text, seconds):
    assert read_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "d", "-1d", "7 d", "7D", "1e3", "7dd", "٧d", "1.d", "nan"])
def test_anything_else_is_refused(text):
    with pytest.raises(ValueError, match="expected a duration, 45s, 12h or 7d for example; got "):
        read_duration(text)
