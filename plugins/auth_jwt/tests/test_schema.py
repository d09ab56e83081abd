"""The schema: made once, and refused when a newer broker made it."""

import asyncio

import pytest

from broker import StorageUnreadable


async def test_brokers_that_make_the_schema_at_once_all_start(open_accounts, backdoor) -> None:
    async def start(number: int) -> None:
        async with open_accounts() as accounts:
            await accounts.users.add(f"user{number}", password_hash="h", grants=[], now=1)

    await asyncio.gather(*map(start, range(6)))
    assert await backdoor.fetch("SELECT version, changes FROM broker_accounts") == [(1, 6)]
    assert len(await backdoor.fetch("SELECT name FROM broker_users")) == 6


async def test_a_newer_schema_is_refused(open_accounts, backdoor) -> None:
    async with open_accounts():
        pass
    await backdoor.execute("UPDATE broker_accounts SET version = 2")
    with pytest.raises(StorageUnreadable) as refused:
        async with open_accounts():
            pass
    assert str(refused.value).endswith(
        " has schema version 2, and this broker knows versions up to 1; use the newer broker that"
        " wrote it, or restore a backup from before its upgrade"
    )


async def test_a_schema_without_its_version_is_refused(open_accounts, backdoor) -> None:
    async with open_accounts():
        pass
    await backdoor.execute("DELETE FROM broker_accounts")
    with pytest.raises(StorageUnreadable, match="its table broker_accounts lacks its row"):
        async with open_accounts():
            pass
