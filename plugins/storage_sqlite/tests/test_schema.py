"""Migrations: numbered, forward only, each wholly or not at all.

`fixtures/schema_<version>.sql` is a store as the broker with that schema left it. Whoever adds a
migration adds the next one: the last, opened by the new broker and dumped.
"""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from broker import Counts, PublishResult, QueuePolicy, Settle, StorageUnreadable, Totals
from broker.testing import Workbench
from broker_storage_sqlite.opening import prepare_file
from broker_storage_sqlite.schema import APPLICATION_ID, Migration, read_migrations

FIXTURES = Path(__file__).parent / "fixtures"

FIRST = Migration(1, "0001_first.sql", "CREATE TABLE one (a TEXT) STRICT;")
SECOND = Migration(
    2, "0002_second.sql", "-- a: colon, a ; semicolon\nALTER TABLE one ADD COLUMN b TEXT;"
)
BROKEN = Migration(
    2, "0002_broken.sql", "ALTER TABLE one ADD COLUMN b TEXT; INSERT INTO nowhere VALUES (1);"
)


def ask(path: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as sql, sql:
        rows = sql.execute(query).fetchall()
    return rows


def restore(path: Path, version: int) -> None:
    """Make the database that a broker with that schema version left behind."""
    with closing(sqlite3.connect(path)) as sql, sql:
        sql.execute("PRAGMA journal_mode = WAL")
        sql.executescript((FIXTURES / f"schema_{version:04}.sql").read_text())


def test_migrations_are_numbered_without_a_gap() -> None:
    numbers = [migration.version for migration in read_migrations()]
    assert numbers == list(range(1, len(numbers) + 1))


def test_there_is_a_fixture_of_each_schema() -> None:
    fixtures = sorted(int(file.stem[-4:]) for file in FIXTURES.glob("schema_*.sql"))
    assert fixtures == [migration.version for migration in read_migrations()]


async def test_the_newest_fixture_has_the_schema_that_the_migrations_make(tmp_path: Path) -> None:
    schema = "SELECT name, sql FROM sqlite_master ORDER BY name"
    restore(tmp_path / "fixture.db", VERSIONS[-1])
    await prepare_file(tmp_path / "new.db", read_migrations())
    assert ask(tmp_path / "fixture.db", schema) == ask(tmp_path / "new.db", schema)


VERSIONS = [migration.version for migration in read_migrations()]
LEASED_TOKEN = bytes.fromhex("cd31529b9006a1b979941758b739f5ff")
LEFT = [  # id, queue, state, body, group, delivery_count, reason, origin_queue, leased_by
    (1, "work", "processed", b"acked", None, 1, None, None, "tester"),
    (2, "dead", "pending", b"rejected", None, 0, "bad", "work", None),
    (3, "work", "processing", b"leased \x00\xff", None, 1, None, None, "ann"),
    (4, "work", "pending", b"head", "g", 0, None, None, None),
    (5, "work", "pending", b"behind", "g", 0, None, None, None),
    (6, "work", "pending", b"scheduled", None, 0, None, None, None),
    (7, "work", "pending", "schlüssel".encode(), None, 0, None, None, None),
    (8, "dead", "failed", b"failed", None, 1, "worse", None, "tester"),
]


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_store_of_each_schema_keeps_its_messages(
    path: Path, bench: Workbench, version: int
) -> None:
    restore(path, version)
    bench.advance(1)  # when the fixture was left
    async with bench:
        page = await bench.page(ids=tuple(range(100)))
    assert [
        (
            message.id,
            message.queue,
            message.state,
            message.body,
            message.group,
            message.delivery_count,
            message.reason,
            message.origin_queue,
            message.leased_by,
        )
        for message in page.messages
    ] == LEFT
    assert page.messages[0].headers == {"trace": "1"}
    assert page.messages[0].content_type == "text/plain"
    assert page.messages[2].priority == 9
    assert page.messages[5].expires_at == bench.now + 7_200_000


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_store_of_each_schema_keeps_its_queues(
    path: Path, bench: Workbench, version: int
) -> None:
    restore(path, version)
    bench.advance(1)
    async with bench:
        dead, empty, work = await bench.storage.get_queues(now=bench.now)
    assert empty.queue.policy == QueuePolicy(paused=True)
    assert work.queue.policy == QueuePolicy(dead_letter_queue="dead", max_deliveries=2)
    assert dead.counts == Counts(pending=1, failed=1)
    assert work.counts == Counts(pending=4, scheduled=1, processing=1, processed=1)
    assert dead.totals == Totals(published=1, delivered=2, released=1, failed=1)
    assert work.totals == Totals(published=7, delivered=3, acked=1, failed=1, dead_lettered=1)
    assert (dead.bytes, work.bytes) == (14, 43)


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_store_of_each_schema_goes_on_where_it_was(
    path: Path, bench: Workbench, version: int
) -> None:
    restore(path, version)
    bench.advance(1)
    async with bench:
        ack = Settle(id=3, queue="work", kind="ack", token=LEASED_TOKEN)
        assert [result.outcome for result in await bench.settle(ack)] == ["ok"]
        again = await bench.publish(bench.message(queue="work", dedup_key="k"))
        assert again == [PublishResult(7, duplicate=True)]
        assert await bench.put(queue="work") == 9
        assert await bench.take_ids("work") == [4, 9, 7]  # 5 is behind 4, 6 is scheduled
        assert await bench.redrive(queue="dead") == 2


async def test_a_new_file_gets_every_migration(path: Path) -> None:
    await prepare_file(path, [FIRST, SECOND])
    assert ask(path, "PRAGMA user_version") == [(2,)]
    assert ask(path, "PRAGMA application_id") == [(APPLICATION_ID,)]
    assert ask(path, "SELECT a, b FROM one") == []


async def test_an_older_file_gets_what_it_has_not_seen_and_keeps_its_rows(path: Path) -> None:
    await prepare_file(path, [FIRST])
    with closing(sqlite3.connect(path)) as sql, sql:
        sql.execute("INSERT INTO one VALUES ('kept')")
    await prepare_file(path, [FIRST, SECOND])
    assert ask(path, "PRAGMA user_version") == [(2,)]
    assert ask(path, "SELECT a, b FROM one") == [("kept", None)]
    await prepare_file(path, [FIRST, SECOND])
    assert ask(path, "SELECT a, b FROM one") == [("kept", None)]


async def test_a_migration_that_fails_is_undone_wholly(path: Path) -> None:
    await prepare_file(path, [FIRST])
    with pytest.raises(StorageUnreadable) as refused:
        await prepare_file(path, [FIRST, BROKEN])
    assert str(refused.value) == (
        "migration 0002_broken.sql failed and was undone (no such table: nowhere); nothing is"
        " lost: go back to the broker that wrote the store, and report this"
    )
    assert ask(path, "PRAGMA user_version") == [(1,)]
    assert [column[1] for column in ask(path, "PRAGMA table_info(one)")] == ["a"]
    await prepare_file(path, [FIRST, SECOND])
    assert ask(path, "PRAGMA user_version") == [(2,)]


async def test_a_new_file_whose_migration_fails_is_not_there(path: Path) -> None:
    with pytest.raises(StorageUnreadable):
        await prepare_file(path, [FIRST, BROKEN])
    assert not path.exists()


@pytest.mark.parametrize("known", [[FIRST]])
async def test_a_newer_schema_than_the_program_knows_is_refused(
    path: Path, known: Sequence[Migration]
) -> None:
    await prepare_file(path, [FIRST, SECOND])
    with pytest.raises(StorageUnreadable, match="schema version 2, and .* versions up to 1;"):
        await prepare_file(path, known)
    assert ask(path, "PRAGMA user_version") == [(2,)]
