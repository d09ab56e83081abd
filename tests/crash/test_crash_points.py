"""Killed at every step, or at steps from the first to the last: a store is never in between."""

import asyncio
import os
import shutil
import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from broker_storage_sqlite.opening import prepare_file
from broker_storage_sqlite.schema import Migration, read_migrations
from crash.doom import Steps, find_vfs, run_doomed
from crash.remains import copy_store, read_remains
from crash.scenarios import SCENARIOS, carry_out, live, make_bench, migrate, prepare, start, stop

POINTS = int(os.environ.get("CRASH_POINTS", "10"))
"""How many steps of each act are fatal, if it has as many; `make crash` tries more."""

SCHEMA_1 = Path(__file__).parents[2] / "plugins/storage_sqlite/tests/fixtures/schema_0001.sql"

try:
    find_vfs()
except (AttributeError, OSError) as error:
    pytest.skip(f"Python's SQLite cannot be watched: {error}", allow_module_level=True)


@pytest.fixture
def base(tmp_path):
    """Where the store is made that is copied and killed again and again."""
    (tmp_path / "base").mkdir()
    return tmp_path / "base" / "broker.db"


def photograph(path):
    """Return all that a store holds, schema and counters too; None if there is no store."""
    if not path.exists():
        return None
    with closing(sqlite3.connect(copy_store(path, path.parent / "photographed"))) as sql:
        # The table `store` has a random id, and counts commits.
        rows = [row for row in sql.iterdump() if not row.startswith('INSERT INTO "store"')]
        return rows, sql.execute("PRAGMA user_version").fetchone()


def open_again(path):
    """Open what a crash left: that clears up, and changes no message and no queue."""

    async def go_on():
        async with make_bench(path) as bench:
            names = sorted(file.name for file in path.parent.glob("broker.db*"))
            assert names == ["broker.db", "broker.db-shm", "broker.db-wal", "broker.db.lock"]
            assert before in (None, photograph(path)), "opening changed it"
            await bench.make_queue("after")
            assert await bench.put(queue="after") == (await bench.take_one("after")).message.id

    before = photograph(path)
    asyncio.run(go_on())


def deaths(base, act):
    """Kill the act at its steps, each time on a copy of a store.

    Yield, each time, what is left, how many answers were given, and where it was killed.
    """
    path = base.parent.with_name("killed") / base.name

    def renew():
        shutil.rmtree(path.parent, ignore_errors=True)
        copy_store(base, path.parent)
        return partial(act, path)

    _, steps = run_doomed(renew())
    assert steps > 0
    for fatal in choose(steps):
        answers, steps_to_the_end = run_doomed(renew(), fatal)
        assert steps_to_the_end is None, "it was not killed"
        if path.exists():
            read_remains(copy_store(path, path.parent / "checked"))
        yield path, answers, f"killed at step {fatal} of {steps}"


def choose(steps):
    """Return the first step, the last one and some between them, or all."""
    if steps <= POINTS:
        return range(1, steps + 1)
    return [1 + round(number * (steps - 1) / (POINTS - 1)) for number in range(POINTS)]


@pytest.mark.parametrize("name", SCENARIOS)
def test_an_operation_that_is_killed_is_done_or_not_done(base, name):
    asyncio.run(prepare(name, base))
    record = copy_store(base, base.parent.with_name("recorded"))
    states = []
    asyncio.run(carry_out(name, record, Steps(None), lambda: states.append(photograph(record))))

    for path, answers, where in deaths(base, partial(live, name)):
        # What was answered is done, and perhaps the next operation.
        assert photograph(path) in states[answers - 1 : answers + 1], where
        open_again(path)


def test_a_store_that_is_killed_while_it_opens_is_what_it_was(base):
    async def leave_a_log():
        async with make_bench(base) as bench:
            await SCENARIOS["publish"].prepare(bench)
            return copy_store(base, base.parent.with_name("left"))

    left = asyncio.run(leave_a_log())
    state = photograph(left)

    for path, _, where in deaths(left, start):
        assert photograph(path) == state, where
        open_again(path)


def test_a_store_that_is_killed_while_it_closes_has_what_was_answered(base):
    asyncio.run(prepare("publish", base))
    record = copy_store(base, base.parent.with_name("recorded"))
    stop(record, Steps(None), lambda: None)
    state = photograph(record)

    for path, answers, where in deaths(base, stop):
        assert (answers, photograph(path)) == (1, state), where
        open_again(path)


def test_a_store_that_is_killed_while_it_is_made_is_there_or_not(base):
    asyncio.run(prepare_file(base.with_name("made.db"), read_migrations()))
    made = photograph(base.with_name("made.db"))

    for path, _, where in deaths(base, start):
        assert photograph(path) in (None, made), where
        open_again(path)


def make_next(number, sql):
    version = len(read_migrations()) + number
    return Migration(version, f"{version:04}_next.sql", sql)


NEXT = [
    make_next(
        1,
        """
        ALTER TABLE messages ADD COLUMN next TEXT;
        UPDATE messages SET next = 'next ' || id;
        CREATE INDEX messages_next ON messages (next);
        """,
    ),
    make_next(
        2,
        """
        CREATE TABLE next (id INTEGER PRIMARY KEY, content BLOB NOT NULL) STRICT;
        INSERT INTO next SELECT id, content FROM messages;
        ALTER TABLE messages DROP COLUMN reason;
        DROP INDEX messages_created_at;
        """,
    ),
]


def test_a_migration_that_is_killed_is_done_or_not_done_and_resumes(base):
    with closing(sqlite3.connect(base)) as sql, sql:
        sql.execute("PRAGMA journal_mode = WAL")
        sql.executescript(SCHEMA_1.read_text())
    migrations = [*read_migrations(), *NEXT]
    record = copy_store(base, base.parent.with_name("recorded"))
    states = []
    for number in range(1, len(migrations) + 1):
        asyncio.run(prepare_file(record, migrations[:number]))
        states.append(photograph(record))

    for path, _, where in deaths(base, partial(migrate, migrations)):
        assert photograph(path) in states, where
        asyncio.run(prepare_file(path, migrations))
        assert photograph(path) == states[-1], where
