"""Checking a store, in use or not, and mending its books."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
from broker import StorageUnreadable

from broker_storage_sqlite.agreement import check_agreement, read_stamp
from broker_storage_sqlite.books import Finding, correct, find_mistakes, find_unreadable_policies
from broker_storage_sqlite.connections import connect_reader
from broker_storage_sqlite.lock import read_note
from broker_storage_sqlite.opening import startup_errors
from broker_storage_sqlite.schema import read_migrations
from broker_storage_sqlite.shelves import find_misplaced, put_in_place
from broker_storage_sqlite.soundness import demand_ours, demand_store, find_damage, find_missing
from broker_storage_sqlite.storage import SQLiteStorage
from broker_storage_sqlite.witness import Witness, read_witness


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What was looked at, and what is wrong with it."""

    path: str
    messages: int | None
    """None in a file that a broker would refuse, where nobody counts."""
    queues: int | None
    findings: list[Finding]


class Repaired(msgspec.Struct, frozen=True, kw_only=True):
    """What was wrong with the books, and what still is."""

    repaired: list[Finding]
    findings: list[Finding]


def check(path: Path) -> Report:
    """Look at all of a store in one snapshot, which keeps no broker from writing.

    Raises StorageUnreadable if there is nothing to be looked at.
    """
    demand_store(path)
    # Before the snapshot, which then holds all that a broker at work had noted.
    with startup_errors(path):
        witness = read_witness(read_note(path))
    with startup_errors(path), closing(connect_reader(path)) as sql:
        sql.execute("BEGIN")
        version = demand_ours(sql, path, remedy="set plugins.storage_sqlite.path to another file")
        newest = read_migrations()[-1].version
        if version < newest:
            raise StorageUnreadable(
                f"{path} has schema version {version}, and what is checked has {newest};"
                " start the broker once, which brings it there"
            )
        findings = _find_damage(sql, version) + _find_disagreement(sql, path, witness)
        if findings:
            return Report(path=str(path), messages=None, queues=None, findings=findings)
        [messages] = sql.execute("SELECT count(*) FROM messages").fetchone()
        [queues] = sql.execute("SELECT count(*) FROM queues").fetchone()
        findings = find_all(sql)
    return Report(path=str(path), messages=messages, queues=queues, findings=findings)


def find_all(sql: sqlite3.Connection) -> list[Finding]:
    """Return what is wrong with the contents of a sound file."""
    unreadable = list(find_unreadable_policies(sql))
    return unreadable or [*find_mistakes(sql), *find_misplaced(sql)]


async def repair(path: Path) -> Repaired:
    """Mend what can be mended, in one transaction; raises StorageLocked if a broker runs."""
    demand_store(path)
    storage = SQLiteStorage(path)
    await storage.open()
    try:
        return await storage.carry_out(lambda tx: _repair(tx.sql))
    finally:
        await storage.close()


def _repair(sql: sqlite3.Connection) -> Repaired:
    found = find_all(sql)
    if any(finding.is_repairable for finding in found):
        put_in_place(sql)
        correct(sql)
    left = find_all(sql)
    return Repaired(repaired=[finding for finding in found if finding not in left], findings=left)


def _find_damage(sql: sqlite3.Connection, version: int) -> list[Finding]:
    damage = [Finding(kind="file", text=line, is_repairable=False) for line in find_damage(sql)]
    return damage or [
        Finding(kind="schema", text=f"{name} is missing", is_repairable=False)
        for name in find_missing(sql, version)
    ]


def _find_disagreement(
    sql: sqlite3.Connection, path: Path, witness: Witness | None
) -> list[Finding]:
    try:
        check_agreement(path, read_stamp(sql), witness)
    except StorageUnreadable as error:
        return [Finding(kind="agreement", text=str(error), is_repairable=False)]
    except sqlite3.DatabaseError:
        # Damage, which is found without this.
        return []
    return []
