"""Inserts that wait for each other, and savepoints that are set when they are needed."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from broker_storage_sqlite.group_commit import Job, carry_out
from broker_storage_sqlite.schema import read_migrations
from broker_storage_sqlite.transaction import Transaction

COUNT = "SELECT count(*) FROM messages"


class Desk:
    """A transaction on a database in memory with one queue, and what it told SQLite."""

    def __init__(self) -> None:
        self.sql = sqlite3.connect(":memory:", isolation_level=None)
        for migration in read_migrations():
            self.sql.executescript(migration.sql)
        self.sql.execute(
            "INSERT INTO queues (id, name, created_at, updated_at, version, policy)"
            " VALUES (1, 'q', 0, 0, 1, '{}')"
        )
        self.tx = Transaction(self.sql)
        self.statements: list[str] = []
        self.sql.set_trace_callback(self.statements.append)

    def work(self, *operations: Callable[[Transaction], Any]) -> list[Any]:
        """Carry out operations in one commit; return what they answered, or why not."""
        jobs = [Job(operation, asyncio.Future(), 0) for operation in operations]
        carry_out(self.tx, jobs)
        return [job.error or job.result for job in jobs]

    def ids(self) -> list[int]:
        return [row[0] for row in self.sql.execute("SELECT id FROM messages ORDER BY id")]

    def said(self, words: str) -> int:
        return sum(statement.startswith(words) for statement in self.statements)


@pytest.fixture
def desk() -> Iterator[Desk]:
    desk = Desk()
    yield desk
    desk.sql.close()


def insert(*ids: int, content: bytes = b"body") -> Callable[[Transaction], str]:
    def operation(tx: Transaction) -> str:
        tx.insert([(i, 1, 1, 4, 4, 0, 0, 0, None, None, None, "text", "{}", content) for i in ids])
        return "inserted"

    return operation


def count(tx: Transaction) -> Any:
    return tx.execute(COUNT).fetchone()[0]


def then_fail(operation: Callable[[Transaction], Any]) -> Callable[[Transaction], Any]:
    def failing(tx: Transaction) -> Any:
        operation(tx)
        raise ValueError("afterwards")

    return failing


async def test_messages_of_many_operations_are_stored_by_few_statements(desk: Desk) -> None:
    answers = desk.work(*(insert(number) for number in range(1, 86)))

    assert answers == ["inserted"] * 85
    assert desk.ids() == list(range(1, 86))
    assert (desk.said("INSERT"), desk.said("SAVEPOINT")) == (4, 0)  # of 64, 16, 4, 1


async def test_whoever_looks_finds_what_was_inserted_before(desk: Desk) -> None:
    def insert_and_count(tx: Transaction) -> Any:
        insert(3, 4)(tx)
        return count(tx)

    assert desk.work(insert(1, 2), count, insert_and_count) == ["inserted", 2, 4]


async def test_only_what_does_more_than_to_insert_has_a_savepoint(desk: Desk) -> None:
    desk.work(insert(1), count, insert(2))

    assert (desk.said("SAVEPOINT"), desk.said("RELEASE")) == (1, 1)


@pytest.mark.parametrize("also", [[], [count]], ids=["inserts", "more"])
async def test_what_fails_is_undone_alone(
    desk: Desk, also: list[Callable[[Transaction], Any]]
) -> None:
    def several(tx: Transaction) -> None:
        insert(2)(tx)
        for operation in also:
            operation(tx)
        insert(3)(tx)

    answers = desk.work(insert(1), then_fail(several), insert(4))

    assert [str(answer) for answer in answers] == ["inserted", "afterwards", "inserted"]
    assert desk.ids() == [1, 4]


@pytest.mark.parametrize("last", [insert(3), count], ids=["at the end", "when somebody looks"])
async def test_what_cannot_be_stored_fails_by_itself(
    desk: Desk, last: Callable[[Transaction], Any]
) -> None:
    desk.sql.executescript(
        "CREATE TEMP TRIGGER refuse BEFORE INSERT ON messages WHEN new.content = x'bad0'"
        " BEGIN SELECT RAISE(ABORT, 'refused'); END"
    )
    answers = desk.work(insert(1), insert(2, content=b"\xba\xd0"), last)

    assert answers[0] == "inserted"
    assert isinstance(answers[1], sqlite3.IntegrityError)
    assert answers[2] == ("inserted" if last is not count else 1)
    assert desk.ids() == ([1, 3] if last is not count else [1])


async def test_after_a_failure_of_the_only_operation_nothing_of_it_is_left(desk: Desk) -> None:
    [error] = desk.work(then_fail(insert(1)))

    assert isinstance(error, ValueError)
    assert desk.work(insert(2)) == ["inserted"]
    assert desk.ids() == [2]
