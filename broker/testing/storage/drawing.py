"""What the state machine draws: few names and small numbers, so that things meet.

Messages, policies and queries are dicts of what differs from the default, as the methods of a
Workbench take them: so a failing program reads like a test.
"""

from __future__ import annotations

from typing import Any, get_args

from hypothesis import strategies as st
from hypothesis.stateful import Bundle
from hypothesis.strategies import SearchStrategy

from broker.models import StateFilter
from broker.testing.storage.bench import KINDS

Fields = dict[str, Any]

QUEUES = ("a", "b")
NEEDED = {"priority": "priority", "group": "groups", "dedup_key": "dedup", "text": "search"}
"""Which capability a field needs."""


def among(*values: Any) -> SearchStrategy[Any]:
    """Draw one of these, the first when it does not matter."""
    return st.sampled_from(values)


def some(
    required: dict[str, SearchStrategy[Any]], **optional: SearchStrategy[Any]
) -> SearchStrategy[Fields]:
    """Draw a dict with all of the required fields, and any of the others."""
    return st.fixed_dictionaries(required, optional=optional)


names = among(*QUEUES)
limits = among(1, 2, 3, 100)
seconds = among(0, 1, 3, 10, 30, 100_000)
ages = st.integers(1, 9)
states = st.lists(among(*get_args(StateFilter)), max_size=2, unique=True).map(tuple)
policies = some(
    {},
    max_deliveries=among(None, 1, 2, 3),
    dead_letter_queue=among(*QUEUES, *QUEUES, "missing"),
    dedup_window=among(0, 3, 10),
    max_messages=among(None, None, 1, 3, 6),
    max_bytes=among(None, None, 2, 12, 30),
    overflow=among("drop_oldest"),
    max_in_flight=among(None, None, 1, 2),
    retain_processed=among(0, 3, None),
    retain_failed=among(0, 3, None),
    ordering=among("group_fifo"),
    paused=among(False, False, False, True),
    # The core reads these; a storage only keeps them.
    rest=among(
        {"lease_seconds": 60, "retry_base": 1.5, "retry_max": 5, "jitter": 0.5},
        {"default_delay": 1, "default_ttl": 60, "max_message_bytes": 1000},
    ),
).map(lambda fields: {**fields.pop("rest", {}), **fields})
messages = some(
    {"queue": names},
    body=among(b"", b"x", b"xyz", b"\x00" * 10),
    content_type=among("text/plain"),
    headers=among({"k": "\u00fc"}),
    priority=among(0, 9),
    group=among("g", "h"),
    dedup_key=among("k"),
    delay=among(0, -1, 3, 10),
    ttl=among(100, 100, 10, 3, 0),
)


_filters = {"states": states, "text": among("x", "y", "z"), "finished_before": among(0, -1, 3, 10)}
_by_queue = {"queue": names}
queries = (
    some(_by_queue)
    | some(_by_queue, after=ages, **_filters)
    | some({"ids": st.lists(ages, min_size=1, max_size=3)}, **_filters)
)
"""By queue or by id; of ids they know the age, 1 being that of the newest. `finished_before` is
in seconds ago."""

listings = some(
    {}, names=st.lists(names, max_size=2), prefix=among("", "b"), after=names, limit=limits
)


def operations(leases: Bundle[Any]) -> SearchStrategy[Fields]:
    """Draw what is done to a lease: most often with its own token, in the queue it names."""
    honest = {"lease": leases, "kind": st.sampled_from(KINDS)}
    others = {"seconds": seconds, "reason": among("why")}
    plain = some(honest, **others)
    unfenced = some({**honest, "token": among(None)}, **others)
    wrong = some({**honest, "token": among(bytes(16))})
    elsewhere = some({**honest, "queue": names})
    return plain | plain | plain | unfenced | wrong | elsewhere
