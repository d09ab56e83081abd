from typing import Annotated, Literal

import pytest
from msgspec import Meta, UnsetType

from broker import QueueName, Seconds
from broker.builtin.rest import wire, wire_settling
from broker.builtin.rest.expecting import expectation


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (bool, "true or false"),
        (int, "a whole number"),
        (wire.Priority, "a whole number from 0 to 9"),
        (Annotated[float, Meta(ge=0, le=1)], "a number from 0 to 1"),
        # a number is written as two types with the same limits
        (Seconds, "a number from 0 to 31622400"),
        (Seconds | None, "a number from 0 to 31622400 or null"),
        (wire.Ttl, "a number above 0, at most 31622400"),
        (str, "text"),
        (str | None, "text or null"),
        (QueueName, "text like ^[A-Za-z0-9][A-Za-z0-9._-]{0,254}$"),
        (wire.Label, "1 to 255 printable characters"),
        (wire.Label | None, "1 to 255 printable characters or null"),
        (bytes | UnsetType, "text in base64"),
        (Literal["a", "b"], 'one of "a", "b"'),
        (list[int], "an array"),
        (wire.Headers, "an object"),
        (wire.Batch, "an object"),
        (wire.ReceiptText | wire_settling.Item, "a receipt or an object"),
    ],
)
def test_a_type_in_words(kind, words):
    assert expectation(kind) == words
