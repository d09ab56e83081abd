"""Users: what each change does to them, and to the tokens that were given by it."""

import asyncio
from typing import Any

import pytest

from broker import Invalid
from broker_auth_jwt.users import User, UserExists, UserNotFound

ANN = User(
    name="ann",
    password_hash="$hash",
    grants=frozenset({"producer", "consume:orders-*"}),
    disabled=False,
    token_version=1,
    created_at=1000,
    changed_at=1000,
)


async def add(accounts: Any, name: str = "ann", **options: Any) -> User:
    options = {"password_hash": "$hash", "grants": ANN.grants, "now": 1000, **options}
    return await accounts.users.add(name, **options)


async def test_a_user_is_found_as_it_was_added(open_accounts) -> None:
    async with open_accounts() as accounts:
        assert await add(accounts) == ANN
        assert await accounts.users.find("ann") == ANN


async def test_users_survive_a_restart(open_accounts) -> None:
    async with open_accounts() as accounts:
        await add(accounts)
    async with open_accounts() as accounts:
        assert await accounts.users.list() == [ANN]


async def test_a_name_is_given_once(open_accounts) -> None:
    async with open_accounts() as accounts:
        await add(accounts)
        with pytest.raises(UserExists) as refused:
            await add(accounts, password_hash="$other")
        assert str(refused.value) == 'there is a user "ann" already'
        assert await accounts.users.find("ann") == ANN


async def test_names_differ_by_case(open_accounts) -> None:
    async with open_accounts() as accounts:
        await add(accounts)
        assert await accounts.users.find("Ann") is None
        await add(accounts, "Ann")
        assert [user.name for user in await accounts.users.list()] == ["Ann", "ann"]


@pytest.mark.parametrize("name", ["a", "A.b_c@d+e-f", "0", "x" * 128])
async def test_a_good_name_is_taken(open_accounts, name: str) -> None:
    async with open_accounts() as accounts:
        assert (await add(accounts, name)).name == name


@pytest.mark.parametrize("name", ["", "-a", ".a", "a b", "a\n", "ä", "a:b", "a/b", "x" * 129])
async def test_a_bad_name_is_refused_and_nobody_has_it(open_accounts, name: str) -> None:
    async with open_accounts() as accounts:
        with pytest.raises(Invalid, match="name: expected 1 to 128 letters"):
            await add(accounts, name)
        with pytest.raises(Invalid, match="name: expected 1 to 128 letters"):
            await accounts.users.make_first(name, password_hash="h", grants=[], now=1)
        assert await accounts.users.is_empty()


@pytest.mark.parametrize("text", ["nobody", "a\0", "\ud800", "x" * 100_000, "' OR 1=1 --"])
async def test_whatever_is_typed_as_a_name_is_nobody(open_accounts, text: str) -> None:
    async with open_accounts() as accounts:
        await add(accounts)
        assert await accounts.users.find(text) is None


async def test_a_new_password_ends_all_tokens_of_the_user(open_accounts) -> None:
    async with open_accounts() as accounts:
        await add(accounts)
        session = "s"
        await accounts.sessions.begin(session, user="ann", jti="a", now=1000, expires_at=9000)
        other = "t"
        await accounts.sessions.begin(other, user="bob", jti="b", now=1000, expires_at=9000)
        before = await accounts.changes.current()
        user = await accounts.users.set_password("ann", "$new", now=2000)
        assert (user.password_hash, user.token_version, user.changed_at) == ("$new", 2, 2000)
        assert await accounts.users.find("ann") == user
        assert (await accounts.sessions.find(session)).revoked_at == 2000
        assert (await accounts.sessions.find(other)).revoked_at is None
        assert await accounts.changes.current() == before + 1


async def test_disabling_ends_all_tokens_of_the_user(open_accounts) -> None:
    async with open_accounts() as accounts:
        await add(accounts)
        session = "s"
        await accounts.sessions.begin(session, user="ann", jti="a", now=1000, expires_at=9000)
        before = await accounts.changes.current()
        user = await accounts.users.set_disabled("ann", True, now=2000)
        assert (user.disabled, user.token_version, user.changed_at) == (True, 2, 2000)
        assert (await accounts.sessions.find(session)).revoked_at == 2000
        assert await accounts.changes.current() == before + 1


async def test_enabling_brings_no_token_back(open_accounts) -> None:
    async with open_accounts() as accounts:
        await add(accounts)
        session = "s"
        await accounts.sessions.begin(session, user="ann", jti="a", now=1000, expires_at=9000)
        await accounts.users.set_disabled("ann", True, now=2000)
        user = await accounts.users.set_disabled("ann", False, now=3000)
        assert (user.disabled, user.token_version) == (False, 2)
        assert (await accounts.sessions.find(session)).revoked_at == 2000


async def test_a_session_of_before_outlives_being_enabled_again(open_accounts) -> None:
    async with open_accounts() as accounts:
        await add(accounts)
        session = "s"
        await accounts.sessions.begin(session, user="ann", jti="a", now=1000, expires_at=9000)
        await accounts.users.set_disabled("ann", False, now=3000)
        assert (await accounts.sessions.find(session)).revoked_at is None


async def test_grants_are_given_and_taken(open_accounts) -> None:
    async with open_accounts() as accounts:
        await add(accounts, grants=["viewer"])
        before = await accounts.changes.current()
        user = await accounts.users.grant("ann", ["producer", "viewer"], now=2000)
        assert (user.grants, user.changed_at) == ({"producer", "viewer"}, 2000)
        user = await accounts.users.revoke("ann", ["viewer", "consumer"], now=3000)
        assert (user.grants, user.token_version, user.changed_at) == ({"producer"}, 1, 3000)
        assert await accounts.users.find("ann") == user
        assert (await accounts.users.revoke("ann", ["producer"], now=4000)).grants == frozenset()
        assert await accounts.changes.current() == before + 3


async def test_grants_of_two_at_once_are_both_given(open_accounts) -> None:
    async with open_accounts() as first, open_accounts() as second:
        await add(first, grants=[])
        await asyncio.gather(
            *(first.users.grant("ann", [f"publish:a{n}"], now=1) for n in range(10)),
            *(second.users.grant("ann", [f"publish:b{n}"], now=1) for n in range(10)),
        )
        assert len((await first.users.find("ann")).grants) == 20


async def test_a_better_hash_is_no_change_of_the_password(open_accounts) -> None:
    async with open_accounts() as accounts:
        await add(accounts)
        before = await accounts.changes.current()
        await accounts.users.rehash("ann", old="$hash", new="$better")
        user = await accounts.users.find("ann")
        assert (user.password_hash, user.token_version, user.changed_at) == ("$better", 1, 1000)
        assert await accounts.changes.current() == before


async def test_a_better_hash_never_undoes_a_change_of_the_password(open_accounts) -> None:
    async with open_accounts() as accounts:
        await add(accounts)
        await accounts.users.set_password("ann", "$new", now=2000)
        await accounts.users.rehash("ann", old="$hash", new="$better")
        assert (await accounts.users.find("ann")).password_hash == "$new"


async def test_nobody_cannot_be_changed(open_accounts) -> None:
    async with open_accounts() as accounts:
        before = await accounts.changes.current()
        users = accounts.users
        for change in (
            users.set_password("bob", "$new", now=1),
            users.set_disabled("bob", True, now=1),
            users.grant("bob", ["viewer"], now=1),
            users.revoke("bob", ["viewer"], now=1),
        ):
            with pytest.raises(UserNotFound) as refused:
                await change
            assert str(refused.value) == 'there is no user "bob"'
        await users.rehash("bob", old="$hash", new="$new")
        assert await users.is_empty()
        assert await accounts.changes.current() == before


async def test_the_first_user_is_made_once(open_accounts) -> None:
    async with open_accounts() as accounts:
        assert await accounts.users.is_empty()
        assert await accounts.users.make_first("ann", password_hash="h", grants=["admin"], now=1)
        assert not await accounts.users.is_empty()
        made = await accounts.users.make_first("bob", password_hash="h", grants=["admin"], now=1)
        assert not made
        assert [user.name for user in await accounts.users.list()] == ["ann"]


async def test_of_brokers_that_start_at_once_one_makes_the_first_user(open_accounts) -> None:
    async def start(number: int) -> bool:
        async with open_accounts() as accounts:
            return await accounts.users.make_first(
                f"admin{number}", password_hash="h", grants=["admin"], now=1
            )

    made = await asyncio.gather(*map(start, range(5)))
    assert sorted(made) == [False] * 4 + [True]
    async with open_accounts() as accounts:
        assert [user.name for user in await accounts.users.list()] == [f"admin{made.index(True)}"]


def test_a_user_is_shown_without_the_hash() -> None:
    assert repr(ANN) == (
        "User(name='ann', grants=['consume:orders-*', 'producer'], disabled=False, token_version=1)"
    )
