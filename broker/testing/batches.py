"""Batches of messages that no example thought of."""

from __future__ import annotations

import json
from collections.abc import Sequence

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from broker.limits import BINARY_CONTENT_TYPE, TEXT_CONTENT_TYPE
from broker.models import NewMessage

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda values: st.lists(values) | st.dictionaries(st.text(), values),
).map(lambda value: json.dumps(value).encode())
_printable = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=20)
_times = st.integers(0, 2**53)


def batches_like(samples: Sequence[NewMessage]) -> SearchStrategy[list[NewMessage]]:
    """Draw batches of messages such as the core lets through: something of these samples, and
    something of anything."""
    queues = [*{sample.queue: None for sample in samples}, "q"]
    content_types = [
        *{sample.content_type: None for sample in samples},
        *("application/json", TEXT_CONTENT_TYPE, BINARY_CONTENT_TYPE, "nothing"),
    ]
    bodies = [sample.body for sample in samples]
    message = st.builds(
        NewMessage,
        queue=st.sampled_from(queues),
        body=st.sampled_from(bodies)
        | st.sampled_from(bodies).flatmap(_mangled)
        | st.binary()
        | _json,
        content_type=st.sampled_from(content_types) | _printable,
        headers=st.dictionaries(_printable, _printable | st.just(""), max_size=4),
        priority=st.integers(0, 9),
        group=st.none() | _printable,
        dedup_key=st.none() | _printable,
        visible_at=_times,
        expires_at=st.none() | _times,
    )
    return st.lists(message, max_size=4)


def _mangled(body: bytes) -> SearchStrategy[bytes]:
    cuts = st.integers(0, len(body))
    return st.builds(lambda a, b, new: body[:a] + new + body[b:], cuts, cuts, st.binary(max_size=3))
