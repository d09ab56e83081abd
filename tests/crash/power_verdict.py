"""What must be true of a store, whatever a power cut left of it."""

import sqlite3
from contextlib import closing

from broker_storage_sqlite.storage import SQLiteStorage
from crash.power_load import content_length
from crash.recording import Send

LATER = 2**42
"""A time at which every lease of the recording has ended."""

MESSAGES = """
SELECT CAST(content AS TEXT), queues.name, status, delivery_count, token
FROM messages JOIN queues ON queue_id = queues.id
"""
COUNTERS = """
SELECT id, pending, scheduled, processing, processed, failed, bytes, pending_bytes FROM queues
"""
RECOUNTED = """
SELECT queues.id, coalesce(sum(status = 'pending'), 0), coalesce(sum(shelf = 2), 0),
    coalesce(sum(status = 'processing'), 0), coalesce(sum(status = 'processed'), 0),
    coalesce(sum(status = 'failed'), 0), coalesce(sum(length(content)), 0),
    coalesce(sum(length(content)) FILTER (WHERE status = 'pending'), 0)
FROM queues LEFT JOIN messages ON queue_id = queues.id GROUP BY queues.id
"""


async def recover(path, durability, history):
    """Open what a power cut left and return which requests it holds.

    It must be sound, hold each request wholly or not at all and no others, and none without all
    that had been answered before it was sent.
    """
    storage = SQLiteStorage(path, durability=durability)
    await storage.open()
    try:
        with closing(connect(path)) as sql:
            assert sql.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert sql.execute(COUNTERS).fetchall() == sql.execute(RECOUNTED).fetchall()
            states = read_states(sql)
        unfinished = {thing for thing, state in states.items() if is_unfinished(state)}
        assert await lease_all(storage) == unfinished
    finally:
        await storage.close()
    return held_requests(history, states)


def is_unfinished(state):
    return state[1] in ("pending", "processing")


async def lease_all(storage):
    leased = set()
    for status in await storage.get_queues(now=LATER):
        options = {"limit": 1000, "lease_until": LATER + 1, "owner": "test", "now": LATER}
        while leases := (await storage.lease(status.queue.name, **options)).leases:
            leased |= {lease.message.body.decode() for lease in leases}
    return leased


def connect(path):
    """Return a connection that leaves a store as it is."""
    return sqlite3.connect(f"file:{path}?mode=ro", uri=True)


def read_states(sql):
    """Return the state of every queue and message."""
    if not sql.execute("SELECT 1 FROM sqlite_master WHERE name = 'messages'").fetchall():
        return {}
    messages = {body: tuple(state) for body, *state in sql.execute(MESSAGES)}
    queues = sql.execute("SELECT name FROM queues")
    return messages | {f"queue {name}": (name, "queue") for [name] in queues}


def held_requests(history, states):
    """Return the requests whose effects are there; whatever else is there is an error."""
    reached = {thing: history.timelines[thing].index(state) for thing, state in states.items()}
    held = set()
    for request in history.requests:
        done = {reached.get(thing, 0) >= step for thing, step in request.steps.items()}
        assert len(done) <= 1, f"half of a request is there: {request}"
        if done != {False}:
            held.add(request)
    last_began = max((request.began for request in held if request.steps), default=0)
    for request in history.requests:
        assert request in held or request.ended > last_began, f"not a prefix: lacks {request}"
    return held


def holds(history, states, request):
    """Tell whether everything that a request does is there."""
    return all(
        history.timelines[thing].index(states.get(thing)) >= step
        for thing, step in request.steps.items()
    )


def answers(events, history):
    """Return for each request the number of the event that sends the first byte of its answer."""
    waiting = {}
    for request in history.requests:
        waiting.setdefault(request.connection, []).append(request)
    streams = {connection: Stream(requests) for connection, requests in waiting.items()}
    for number, event in enumerate(events):
        if isinstance(event, Send):
            streams[event.connection].add(number, event.data)
    assert not any(stream.waiting for stream in streams.values())
    return {request: at for stream in streams.values() for request, at in stream.answered}


class Stream:
    """What is sent on one connection: the answers to its requests, one after the other."""

    def __init__(self, requests):
        self.waiting = list(requests)
        self.answered = []
        self._data = b""
        self._began = None

    def add(self, number, data):
        self._began = self._began if self._data else number
        self._data += data
        while b"\r\n\r\n" in self._data:
            head, _, rest = self._data.partition(b"\r\n\r\n")
            size = content_length(head + b"\r\n\r\n")
            if len(rest) < size:
                return
            assert head.startswith(b"HTTP/1.1 2")
            self.answered.append((self.waiting.pop(0), self._began))
            self._data, self._began = rest[size:], number
