"""Splitting a stream into lines and lines into batches."""

import io
import os

import pytest

from broker.cli.lines import BATCH_BYTES, Batch, batches, read_lines
from broker.errors import MessageTooLarge


class Trickle(io.BytesIO):
    """A source that gives few bytes at a time."""

    def __init__(self, content, step):
        super().__init__(content)
        self.step = step

    def read1(self, size=-1):
        return super().read1(self.step)


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"", []),
        (b"a", [b"a"]),  # the last newline may lack
        (b"a\n", [b"a"]),
        (b"\n", [b""]),  # an empty line is a message
        (b"a\n\nb", [b"a", b"", b"b"]),
        (b"a\r\nb\rc\n", [b"a\r", b"b\rc"]),  # only the newline is taken off
        (b"\x00\xff\xfe\n\x85\xe2\x80\xa8x", [b"\x00\xff\xfe", b"\x85\xe2\x80\xa8x"]),
        (b"ab\ncdefg\n", [b"ab", b"cdefg"]),
    ],
)
@pytest.mark.parametrize("step", [1, 2, 3, 100])
def test_only_newlines_end_lines_and_only_they_are_taken_off(content, lines, step):
    assert list(read_lines(Trickle(content, step))) == lines


def test_a_source_that_pauses_says_so_after_what_it_gave():
    reading, writing = os.pipe()
    with open(reading, "rb") as source:
        os.write(writing, b"one\ntw")
        lines = read_lines(source)

        assert next(lines) == b"one"
        assert next(lines) is None
        os.write(writing, b"o\nthree")
        assert next(lines) == b"two"
        os.close(writing)
        assert [line for line in lines if line is not None] == [b"three"]


def test_a_line_that_no_queue_takes_is_refused_before_it_fills_the_memory():
    class Endless(io.BytesIO):
        def read1(self, size=-1):
            return b"x" * size

    with pytest.raises(MessageTooLarge, match="a line is longer than 16777216 bytes"):
        next(read_lines(Endless()))


def test_a_batch_holds_at_most_a_thousand_lines():
    found = list(batches([b"x"] * 2001))

    assert [(batch.first, len(batch.lines)) for batch in found] == [
        (1, 1000),
        (1001, 1000),
        (2001, 1),
    ]


def test_a_batch_holds_at_most_four_mebibytes_unless_it_is_one_line():
    half, whole = b"x" * (BATCH_BYTES // 2), b"x" * BATCH_BYTES

    found = list(batches([half, half, b"a", whole, whole + b"x", b"b"]))

    assert [[len(line) for line in batch.lines] for batch in found] == [
        [len(half), len(half)],
        [1],
        [len(whole)],
        [len(whole) + 1],
        [1],
    ]
    assert [batch.first for batch in found] == [1, 3, 4, 5, 6]


def test_what_a_line_costs_beside_its_bytes_counts():
    found = list(batches([b"a", b"b", b"c"], overhead=BATCH_BYTES // 2 - 1))

    assert [batch.lines for batch in found] == [[b"a", b"b"], [b"c"]]


def test_a_pause_ends_a_batch_and_makes_no_empty_one():
    found = list(batches([None, b"a", b"b", None, None, b"c", None]))

    assert found == [Batch(1, [b"a", b"b"]), Batch(3, [b"c"])]


def test_the_longest_line_of_a_batch_is_known_by_its_number():
    assert Batch(11, [b"a", b"abc", b"ab"]).longest() == (12, 3)
