"""What is checked on the command line before a broker is asked."""

import click
import pytest

from broker.cli.values import FieldValue, Header, QueueName
from broker.models import Seconds


@pytest.mark.parametrize("name", ["a", "A.b_c-1", "0", "x" * 255])
def test_a_queue_name_stays_as_it_is(name):
    assert QueueName().convert(name, None, None) == name


@pytest.mark.parametrize("name", ["", ".", "..", "-a", "_a", "a/b", "a b", "é", "a\n", "x" * 256])
def test_what_cannot_be_a_queue_is_refused(name):
    with pytest.raises(click.BadParameter, match="expected 1 to 255 letters"):
        QueueName().convert(name, None, None)


def test_a_header_may_hold_what_separates_it():
    assert Header().convert("k=a=b", None, None) == ("k", "a=b")
    assert Header().convert("k=", None, None) == ("k", "")


@pytest.mark.parametrize("text", ["", "k", "=v"])
def test_a_header_needs_a_name_and_a_sign(text):
    with pytest.raises(click.BadParameter, match="expected NAME=VALUE; got "):
        Header().convert(text, None, None)


@pytest.mark.parametrize(("text", "seconds"), [("0", 0), ("1.5", 1.5), ("86400", 86400)])
def test_seconds_may_be_parts_of_seconds(text, seconds):
    assert FieldValue(Seconds).convert(text, None, None) == seconds
