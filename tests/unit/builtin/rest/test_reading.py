import pytest

from broker import FieldError, Invalid, Request
from broker.builtin.rest.reading import (
    read_id,
    read_query,
)
from broker.builtin.rest.wire import BrowseOptions, ConsumeOptions
from broker.builtin.rest.wire_settling import NackOptions


def query(**values):
    return Request(method="GET", path="/", query=values)


@pytest.mark.parametrize(("text", "number"), [("1", 1), ("007", 7), (str(2**63 - 1), 2**63 - 1)])
def test_an_id_is_a_number(text, number):
    assert read_id(Request(method="GET", path="/", params={"id": text})) == number


def test_a_list_in_a_query_string_repeats_or_has_commas():
    options = read_query(query(state=["pending,failed", "processed"]), BrowseOptions)

    assert options.state == ["pending", "failed", "processed"]


def test_numbers_and_truth_in_a_query_string_are_read():
    assert read_query(query(wait=["2.5"], lease_seconds=["5"]), ConsumeOptions) == ConsumeOptions(
        wait=2.5, lease_seconds=5
    )
    assert read_query(query(requeue=["True"]), NackOptions).requeue is True


def test_an_empty_query_string_is_all_defaults():
    assert read_query(query(), BrowseOptions) == BrowseOptions()
