"""Reading logs that SQLite itself wrote."""

import sqlite3

import pytest
from broker_storage_sqlite.wal import read_pages

HEADER, FRAME = 32, 24 + 4096


@pytest.fixture
def log(tmp_path):
    """A log of three transactions: the table, and two rows of a page each."""
    path = tmp_path / "a.db"
    sql = sqlite3.connect(path, isolation_level=None)
    sql.execute("PRAGMA journal_mode = WAL")
    sql.execute("CREATE TABLE t (text)")
    for text in ("first", "second"):
        sql.execute("INSERT INTO t VALUES (?)", (text,))
    yield tmp_path / "a.db-wal"
    sql.close()


@pytest.fixture
def copy(log, tmp_path):
    copied = tmp_path / "copy-wal"
    copied.write_bytes(log.read_bytes())
    return copied


def flip(path, at):
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def texts(path):
    pages = list(read_pages(path))
    return [[text for text in (b"first", b"second") if text in page] for page in pages]


def test_pages_come_in_the_order_of_their_writing(log):
    whole = (log.stat().st_size - HEADER) // FRAME
    assert len(list(read_pages(log))) == whole
    assert texts(log)[-2:] == [[b"first"], [b"first", b"second"]]


def test_there_are_no_pages_where_there_is_no_log(tmp_path):
    assert list(read_pages(tmp_path / "missing-wal")) == []


@pytest.mark.parametrize("at", [0, 8, 11, 12, 16, 24, 31])
def test_a_log_with_a_damaged_header_has_no_pages(copy, at):
    flip(copy, at)
    assert list(read_pages(copy)) == []


@pytest.mark.parametrize("at", [0, 4, 8, 15, 16, 23, 24, FRAME - 1])
def test_a_damaged_frame_ends_the_log(copy, at):
    whole = len(list(read_pages(copy)))
    flip(copy, HEADER + (whole - 2) * FRAME + at)
    assert len(list(read_pages(copy))) == whole - 2


def test_a_frame_that_is_cut_ends_the_log(copy):
    whole = len(list(read_pages(copy)))
    copy.write_bytes(copy.read_bytes()[:-1])
    assert len(list(read_pages(copy))) == whole - 1


def test_what_is_older_than_the_header_is_not_read(tmp_path):
    path = tmp_path / "a.db"
    sql = sqlite3.connect(path, isolation_level=None)
    sql.execute("PRAGMA journal_mode = WAL")
    sql.execute("CREATE TABLE t (text)")
    sql.execute("INSERT INTO t VALUES ('old')")
    sql.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
    sql.execute("INSERT INTO t VALUES ('new')")

    assert len(list(read_pages(tmp_path / "a.db-wal"))) == 1
    sql.close()
