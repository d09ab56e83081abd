"""Logins: rotation, reuse, and their end."""

import asyncio
from typing import Any

import pytest

from broker_auth_jwt import sessions
from broker_auth_jwt.sessions import new_session_id
from broker_auth_jwt.sessions import Session

LATER = 100_000
MAX_OPEN = 4


@pytest.fixture
def few_may_be_open(monkeypatch) -> None:
    monkeypatch.setattr(sessions, "MAX_OPEN", MAX_OPEN)


async def begin(accounts: Any, user: str = "ann", jti: str = "first") -> str:
    session = new_session_id()
    await accounts.sessions.begin(session, user=user, jti=jti, now=1000, expires_at=LATER)
    return session


async def rotate(accounts: Any, session: str, old: str, new: str, now: int = 2000) -> str:
    return await accounts.sessions.rotate(session, old=old, new=new, now=now, expires_at=LATER + 1)


async def test_a_session_is_found_as_it_began(open_accounts) -> None:
    async with open_accounts() as accounts:
        session = await begin(accounts)
        assert await accounts.sessions.find(session) == Session(
            id=session,
            user="ann",
            jti="first",
            created_at=1000,
            expires_at=LATER,
            revoked_at=None,
        )
        assert await accounts.sessions.find("no") is None


async def test_open_sessions_are_counted(open_accounts) -> None:
    async with open_accounts() as accounts:
        await begin(accounts)
        await begin(accounts, user="bob")
        revoked = await begin(accounts)
        assert await accounts.sessions.count_open("ann", now=LATER - 1) == 2
        await accounts.sessions.revoke(revoked, now=2000)
        assert await accounts.sessions.count_open("ann", now=LATER - 1) == 1
        assert await accounts.sessions.count_open("ann", now=LATER) == 0
        assert await accounts.sessions.count_open("nobody", now=0) == 0


async def test_one_login_more_than_may_be_open_ends_the_oldest_of_that_user(
    open_accounts, few_may_be_open
) -> None:
    async with open_accounts() as accounts:

        async def log_in(user: str, number: int) -> str:
            name = f"{user}{number}"
            await accounts.sessions.begin(name, user=user, jti="j", now=number, expires_at=LATER)
            return name

        bob = await log_in("bob", 0)
        anns = [await log_in("ann", number) for number in range(1, MAX_OPEN + 1)]
        before = await accounts.changes.current()
        newest = await log_in("ann", MAX_OPEN + 1)

        ended = [
            name
            for name in [bob, *anns, newest]
            if (await accounts.sessions.find(name)).revoked_at is not None
        ]
        assert ended == anns[:1]
        assert await accounts.sessions.count_open("ann", now=MAX_OPEN + 1) == MAX_OPEN
        assert await accounts.changes.current() > before


async def test_logins_that_ended_take_no_room(open_accounts, few_may_be_open) -> None:
    async with open_accounts() as accounts:
        kept = await begin(accounts)
        for _ in range(MAX_OPEN - 1):
            await accounts.sessions.revoke(await begin(accounts), now=1000)
        for number in range(MAX_OPEN - 1):
            session = f"short{number}"
            await accounts.sessions.begin(session, user="ann", jti="j", now=1000, expires_at=2000)

        await accounts.sessions.begin("last", user="ann", jti="j", now=2000, expires_at=LATER)

        assert (await accounts.sessions.find(kept)).revoked_at is None


async def test_ids_are_long_and_never_the_same(open_accounts) -> None:
    async with open_accounts() as accounts:
        ids = [await begin(accounts) for _ in range(20)]
        assert len(set(ids)) == 20
        assert {len(session) for session in ids} == {22}  # 128 bits


async def test_a_refresh_token_is_good_once(open_accounts) -> None:
    async with open_accounts() as accounts:
        session = await begin(accounts)
        before = await accounts.changes.current()
        assert await rotate(accounts, session, "first", "second") == "rotated"
        assert await rotate(accounts, session, "second", "third") == "rotated"
        found = await accounts.sessions.find(session)
        assert (found.jti, found.expires_at) == ("third", LATER + 1)
        assert await accounts.changes.current() == before


async def test_reuse_revokes_the_whole_family_in_the_same_step(open_accounts) -> None:
    async with open_accounts() as accounts:
        session = await begin(accounts)
        other = await begin(accounts, jti="other")
        await rotate(accounts, session, "first", "second")
        before = await accounts.changes.current()
        assert await rotate(accounts, session, "first", "third", now=3000) == "reused"
        assert await accounts.changes.current() == before + 1
        assert (await accounts.sessions.find(session)).revoked_at == 3000
        assert await rotate(accounts, session, "second", "third") == "ended"
        assert await rotate(accounts, session, "first", "third") == "ended"
        assert (await accounts.sessions.find(other)).revoked_at is None


async def test_reuse_is_noticed_after_a_restart(open_accounts) -> None:
    async with open_accounts() as accounts:
        session = await begin(accounts)
        await rotate(accounts, session, "first", "second")
    async with open_accounts() as accounts:
        assert await rotate(accounts, session, "first", "third") == "reused"
    async with open_accounts() as accounts:
        assert await rotate(accounts, session, "second", "third") == "ended"


async def test_of_two_at_once_with_one_token_one_is_reuse(open_accounts) -> None:
    async with open_accounts() as first, open_accounts() as second:
        for _ in range(10):
            session = await begin(first)
            outcomes = await asyncio.gather(
                rotate(first, session, "first", "second"),
                rotate(second, session, "first", "third"),
            )
            assert sorted(outcomes) == ["reused", "rotated"]
            assert (await second.sessions.find(session)).revoked_at == 2000


async def test_a_session_that_expired_is_ended_and_not_reused(open_accounts) -> None:
    async with open_accounts() as accounts:
        session = await begin(accounts)
        assert await rotate(accounts, session, "old", "second", now=LATER) == "ended"
        assert await rotate(accounts, session, "first", "second", now=LATER) == "ended"
        assert await rotate(accounts, session, "first", "second", now=LATER - 1) == "rotated"
        assert await rotate(accounts, "no", "first", "second") == "ended"


async def test_a_session_is_revoked_once(open_accounts) -> None:
    async with open_accounts() as accounts:
        session = await begin(accounts)
        before = await accounts.changes.current()
        assert await accounts.sessions.revoke(session, now=2000) is True
        assert await accounts.sessions.revoke(session, now=3000) is False
        assert await accounts.sessions.revoke("no", now=3000) is False
        assert (await accounts.sessions.find(session)).revoked_at == 2000
        assert await accounts.changes.current() == before + 1
        assert await rotate(accounts, session, "first", "second") == "ended"


async def test_what_ends_all_sessions_of_a_user_ends_nobody_elses(open_accounts) -> None:
    async with open_accounts() as accounts:
        await accounts.users.add("ann", password_hash="$hash", grants=[], now=1000)
        sessions = [await begin(accounts) for _ in range(3)]
        other = await begin(accounts, "bob")
        await accounts.sessions.revoke(sessions[0], now=2000)
        before = await accounts.changes.current()
        await accounts.users.set_password("ann", "$new", now=3000)
        await accounts.users.set_disabled("ann", True, now=4000)
        found = [await accounts.sessions.find(session) for session in sessions]
        assert [session.revoked_at for session in found] == [2000, 3000, 3000]
        assert (await accounts.sessions.find(other)).revoked_at is None
        assert await accounts.changes.current() == before + 2


@pytest.mark.parametrize("revoked", [False, True])
async def test_cleaning_forgets_what_has_expired_only(open_accounts, revoked: bool) -> None:
    async with open_accounts() as accounts:
        session = await begin(accounts)
        if revoked:
            await accounts.sessions.revoke(session, now=2000)
        before = await accounts.changes.current()
        await accounts.clean(LATER - 1)
        assert await accounts.sessions.find(session) is not None
        await accounts.clean(LATER)
        assert await accounts.sessions.find(session) is None
        assert await accounts.changes.current() == before
