"""The file: what is made, what is refused, and what becomes of a disk that fails."""

import asyncio
import os
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from databases.backends.sqlite import SQLiteConnection

from broker import ConfigError, StorageUnreadable, Unavailable


async def add(accounts: Any, name: str) -> None:
    await accounts.users.add(name, password_hash="h", grants=[], now=1)


async def names(accounts: Any) -> list[str]:
    return [user.name for user in await accounts.users.list()]


async def refusal(open_at, path: Path) -> str:
    with pytest.raises(StorageUnreadable) as refused:
        async with open_at(path):
            pass
    assert refused.value.exit_code == 74
    return str(refused.value)


async def test_the_file_and_what_is_beside_it_are_for_the_owner_alone(open_at, sqlite_path) -> None:
    before = os.umask(0)
    try:
        async with open_at(sqlite_path) as accounts:
            await add(accounts, "ann")
            found = {
                file.name: stat.S_IMODE(file.stat().st_mode)
                for file in sqlite_path.parent.iterdir()
            }
    finally:
        os.umask(before)
    assert found == {"auth.db": 0o600, "auth.db-wal": 0o600, "auth.db-shm": 0o600}


async def test_closing_leaves_one_file(open_at, sqlite_path) -> None:
    async with open_at(sqlite_path) as accounts:
        await add(accounts, "ann")
    assert [file.name for file in sqlite_path.parent.iterdir()] == ["auth.db"]


@pytest.mark.parametrize("name", ["ä %20?#&.db", "a'b\"c.db", "deep/er/auth.db"])
async def test_a_file_may_have_any_name(open_at, tmp_path: Path, name: str) -> None:
    async with open_at(tmp_path / name) as accounts:
        await add(accounts, "ann")
    assert (tmp_path / name).is_file()
    async with open_at(tmp_path / name) as accounts:
        assert await names(accounts) == ["ann"]


async def test_every_commit_is_synced_into_a_log_that_no_checkpoint_disturbs(
    open_at, sqlite_path
) -> None:
    async with open_at(sqlite_path) as accounts:
        pragmas = ("journal_mode", "synchronous", "busy_timeout", "wal_autocheckpoint")
        found = [await accounts._database.fetch(f"PRAGMA {pragma}") for pragma in pragmas]
    assert [next(iter(row.values())) for [row] in found] == ["wal", 2, 5000, 0]


async def test_the_log_stays_short(open_at, sqlite_path) -> None:
    log = sqlite_path.with_name("auth.db-wal")
    sizes = []
    async with open_at(sqlite_path) as accounts, open_at(sqlite_path) as reader:
        for _ in range(600):
            await accounts.changes.increment()
            await reader.changes.current()
            sizes.append(log.stat().st_size)
    assert max(sizes) < 2 * 1024**2
    assert sizes[-1] < sizes[200]


async def test_those_who_make_the_file_at_once_share_it(open_at, sqlite_path) -> None:
    async def start(number: int) -> None:
        async with open_at(sqlite_path) as accounts:
            await add(accounts, f"user{number}")

    await asyncio.gather(*map(start, range(8)))
    async with open_at(sqlite_path) as accounts:
        assert len(await names(accounts)) == 8
    assert [file.name for file in sqlite_path.parent.iterdir()] == ["auth.db"]


CHILD = """
import asyncio, pathlib, sys
from broker_auth_jwt.accounts import Accounts
from broker_auth_jwt.sqlite_file import SQLiteFile

async def main():
    accounts = Accounts(SQLiteFile(pathlib.Path(sys.argv[1])))
    await accounts.open()
    for number in range(40):
        name = f"{sys.argv[2]}{number}"
        await accounts.users.add(name, password_hash="h", grants=[], now=1)
        await accounts.users.grant(name, ["viewer"], now=2)
    await accounts.close()

asyncio.run(main())
"""


async def test_processes_that_write_at_once_never_refuse_each_other(open_at, sqlite_path) -> None:
    async with open_at(sqlite_path) as accounts:
        children = [
            await asyncio.create_subprocess_exec(sys.executable, "-c", CHILD, sqlite_path, name)
            for name in ("ann", "bob", "eve")
        ]
        for _ in range(40):
            await accounts.changes.increment()
        assert [await child.wait() for child in children] == [0, 0, 0]
        assert await accounts.changes.current() == 40 + 3 * 80
        assert len(await names(accounts)) == 120


async def test_a_process_that_was_killed_leaves_what_it_had_committed(open_at, sqlite_path) -> None:
    killed = (
        "import asyncio, os, pathlib, sys\n"
        "from broker_auth_jwt.accounts import Accounts\n"
        "from broker_auth_jwt.sqlite_file import SQLiteFile\n"
        "async def change(tx):\n"
        "    await tx.execute('UPDATE broker_accounts SET changes = 1000')\n"
        "    os._exit(9)\n"
        "async def main():\n"
        "    accounts = Accounts(SQLiteFile(pathlib.Path(sys.argv[1])))\n"
        "    await accounts.open()\n"
        "    await accounts.users.add('ann', password_hash='h', grants=[], now=1)\n"
        "    await accounts._database.change(change)\n"
        "asyncio.run(main())\n"
    )
    assert subprocess.run([sys.executable, "-c", killed, sqlite_path], check=False).returncode == 9
    assert sqlite_path.with_name("auth.db-wal").exists()
    async with open_at(sqlite_path) as accounts:
        assert await names(accounts) == ["ann"]
        assert await accounts.changes.current() == 1
        await add(accounts, "bob")


async def test_a_file_that_others_may_use_is_refused(open_at, sqlite_path) -> None:
    async with open_at(sqlite_path):
        pass
    for mode in (0o644, 0o640, 0o660, 0o604):
        sqlite_path.chmod(mode)
        with pytest.raises(ConfigError) as refused:
            async with open_at(sqlite_path):
                pass
        assert refused.value.exit_code == 78
        assert str(refused.value) == (
            f"{sqlite_path} holds password hashes, and others than its owner may use it; run:"
            f" chmod 600 {sqlite_path}"
        )
    sqlite_path.chmod(0o600)
    async with open_at(sqlite_path):
        pass


async def test_the_remedy_is_a_command_whatever_the_name(open_at, tmp_path: Path) -> None:
    path = tmp_path / "of $(users).db"
    path.write_bytes(b"x")
    path.chmod(0o644)
    with pytest.raises(ConfigError) as refused:
        async with open_at(path):
            pass
    assert str(refused.value).endswith(f"; run: chmod 600 '{path}'")


async def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(
    open_at, sqlite_path
) -> None:
    sqlite_path.touch(mode=0o600)
    sqlite_path.write_bytes(b"no database" * 1000)
    assert await refusal(open_at, sqlite_path) == (
        f"{sqlite_path} cannot be read (file is not a database); restore a backup, or move it away"
        " to begin without users"
    )
    assert sqlite_path.read_bytes() == b"no database" * 1000


async def test_an_empty_file_is_refused(open_at, sqlite_path) -> None:
    sqlite_path.touch(mode=0o600)
    assert await refusal(open_at, sqlite_path) == (
        f"{sqlite_path} is empty, which no database is; restore a backup, or move it away to begin"
        " without users"
    )
    assert sqlite_path.read_bytes() == b""


async def test_a_database_of_another_program_is_refused(open_at, sqlite_path) -> None:
    sqlite_path.touch(mode=0o600)
    with closing(sqlite3.connect(sqlite_path)) as sql:
        sql.execute("CREATE TABLE broker_users (name TEXT)")
    before = sqlite_path.read_bytes()
    assert await refusal(open_at, sqlite_path) == (
        f"{sqlite_path} is a database of another program; set plugins.auth_jwt.database to another"
        " file"
    )
    assert sqlite_path.read_bytes() == before


async def test_a_damaged_file_is_refused_and_left_as_it_is(open_at, sqlite_path) -> None:
    async with open_at(sqlite_path) as accounts:
        for number in range(200):
            await add(accounts, f"user{number}")
    whole = sqlite_path.read_bytes()
    for page in range(1, len(whole) // 4096):
        damaged = bytearray(whole)
        damaged[page * 4096 : page * 4096 + 64] = b"\xff" * 64
        sqlite_path.write_bytes(damaged)
        assert str(sqlite_path) in await refusal(open_at, sqlite_path)
        assert sqlite_path.read_bytes() == damaged


async def test_a_file_that_was_cut_is_refused(open_at, sqlite_path) -> None:
    async with open_at(sqlite_path) as accounts:
        await add(accounts, "ann")
    whole = sqlite_path.read_bytes()
    for size in (50, 100, 4096, len(whole) - 4096):
        sqlite_path.write_bytes(whole[:size])
        assert str(sqlite_path) in await refusal(open_at, sqlite_path)


async def test_a_log_without_its_file_is_refused(open_at, sqlite_path) -> None:
    log = sqlite_path.with_name("auth.db-wal")
    log.write_bytes(b"log")
    assert await refusal(open_at, sqlite_path) == (
        f"{sqlite_path} is missing, but {log} is there: bring the file back that belongs to it, or"
        " move it away to begin without users"
    )
    assert not sqlite_path.exists()


async def test_a_directory_in_its_place_is_refused(open_at, sqlite_path) -> None:
    sqlite_path.mkdir()
    assert await refusal(open_at, sqlite_path) == (
        f"{sqlite_path} cannot be used (Is a directory); give the broker's user access to"
        f" {sqlite_path.parent}, or set plugins.auth_jwt.database to another file"
    )


async def test_a_file_in_the_way_of_its_directory_is_refused(open_at, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert await refusal(open_at, tmp_path / "file/auth.db") == (
        f"{tmp_path}/file cannot be used (File exists); give the broker's user access"
        f" to {tmp_path}/file, or set plugins.auth_jwt.database to another file"
    )


async def test_a_backup_of_a_file_in_use_is_whole(open_at, sqlite_path, tmp_path: Path) -> None:
    backup = tmp_path / "backup.db"
    async with open_at(sqlite_path) as accounts:
        await add(accounts, "ann")
        with closing(sqlite3.connect(sqlite_path)) as sql, closing(sqlite3.connect(backup)) as to:
            sql.backup(to)  # as `.backup` of its command line does
        await add(accounts, "bob")
    backup.chmod(0o600)
    async with open_at(backup) as accounts:
        assert await names(accounts) == ["ann"]
        await add(accounts, "eve")


@pytest.mark.parametrize("statement", ["BEGIN IMMEDIATE", "UPDATE broker_accounts", "COMMIT"])
async def test_a_disk_that_fails_once_makes_one_change_fail(
    open_at, sqlite_path, monkeypatch: pytest.MonkeyPatch, caplog, statement: str
) -> None:
    execute = SQLiteConnection.execute
    failures = [sqlite3.OperationalError("disk I/O error")]

    async def fail_once(self: SQLiteConnection, query: Any) -> Any:
        if failures and str(query).startswith(statement):
            raise failures.pop()
        return await execute(self, query)

    async with open_at(sqlite_path) as accounts, open_at(sqlite_path) as other:
        before = await accounts.changes.current()
        monkeypatch.setattr(SQLiteConnection, "execute", fail_once)
        with pytest.raises(Unavailable):
            await add(accounts, "ann")
        assert failures == []
        await add(other, "bob")  # the lock went with the connection
        await add(accounts, "eve")
        assert await names(accounts) == ["bob", "eve"]
        assert await accounts.changes.current() == before + 2
    assert f"{sqlite_path} cannot be used: OperationalError: disk I/O error" in caplog.text


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
async def test_root_leaves_the_file_to_the_user_of_the_broker(open_at, sqlite_path) -> None:
    os.chown(sqlite_path.parent, 1234, 2345)
    async with open_at(sqlite_path) as accounts:
        await accounts.changes.increment()
        owners = {path.name: path.stat().st_uid for path in sqlite_path.parent.iterdir()}
    assert owners == dict.fromkeys(("auth.db", "auth.db-wal", "auth.db-shm"), 1234)
