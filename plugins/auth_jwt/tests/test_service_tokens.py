"""Tokens of programs: shown once, compared by digest, revoked by id."""

import hashlib
import re

import pytest

from broker import Invalid
from broker_auth_jwt.service_tokens import ServiceToken, read_service_token


async def test_a_token_is_found_by_the_id_in_its_text(open_accounts) -> None:
    async with open_accounts() as accounts:
        token, text = await accounts.service_tokens.create(
            "ci", grants=["producer", "publish:orders-*"], now=1000, expires_at=9000
        )
        token_id, secret = read_service_token(text)
        assert await accounts.service_tokens.find(token_id) == token
        assert token == ServiceToken(
            id=token_id,
            name="ci",
            digest=hashlib.sha256(secret.encode()).hexdigest(),
            grants=frozenset({"producer", "publish:orders-*"}),
            created_at=1000,
            expires_at=9000,
            revoked_at=None,
            last_used_at=None,
        )
        assert await accounts.service_tokens.find("no") is None


async def test_only_the_secret_matches(open_accounts) -> None:
    async with open_accounts() as accounts:
        token, text = await accounts.service_tokens.create("ci", grants=[], now=1)
        secret = text.partition(".")[2]
        assert token.matches(secret)
        for other in ("", secret[:-1], secret + "A", secret.swapcase(), token.digest, "\ud800"):
            assert not token.matches(other)


async def test_no_secret_is_kept(open_accounts, backdoor) -> None:
    async with open_accounts() as accounts:
        _, text = await accounts.service_tokens.create("ci", grants=[], now=1)
        secret = text.partition(".")[2]
        [row] = await backdoor.fetch("SELECT * FROM broker_service_tokens")
        assert secret not in repr(row)


async def test_texts_are_long_and_never_the_same(open_accounts) -> None:
    async with open_accounts() as accounts:
        texts = {(await accounts.service_tokens.create("ci", grants=[], now=1))[1] for _ in "1234"}
        assert len(texts) == 4
        for text in texts:
            assert re.fullmatch(r"rbt_t[\w-]{15}\.[\w-]{43}", text)  # 256 bits


@pytest.mark.parametrize(
    "text",
    [
        "",
        "rbt_",
        "rbt_a.b",
        "rbt_" + "a" * 16 + "." + "b" * 42,
        "rbt_" + "a" * 16 + "." + "b" * 44,
        "rbt_" + "a" * 16 + "." + "b" * 43 + "\n",
        "rbt_" + "a" * 15 + "\0." + "b" * 43,
        "rbt_" + "a" * 15 + "ä." + "b" * 43,
        "RBT_" + "a" * 16 + "." + "b" * 43,
        " rbt_" + "a" * 16 + "." + "b" * 43,
        "eyJh.eyJz.c2ln",
    ],
)
def test_any_other_text_is_no_service_token(text: str) -> None:
    assert read_service_token(text) is None


async def test_a_token_is_revoked_by_its_id(open_accounts) -> None:
    async with open_accounts() as accounts:
        tokens = accounts.service_tokens
        first, _ = await tokens.create("ci", grants=[], now=1)
        second, _ = await tokens.create("ci", grants=[], now=2)
        before = await accounts.changes.current()
        assert await tokens.revoke(first.id, now=5) is True
        assert await tokens.revoke(first.id, now=6) is False
        assert [token.revoked_at for token in await tokens.list()] == [5, None]
        assert await accounts.changes.current() == before + 1
        assert (await tokens.list())[1] == second


async def test_revoking_a_token_spares_one_whose_name_is_its_id(open_accounts) -> None:
    async with open_accounts() as accounts:
        tokens = accounts.service_tokens
        token, _ = await tokens.create("ci", grants=[], now=1)
        namesake, _ = await tokens.create(token.id, grants=[], now=2)
        assert await tokens.revoke(token.id, now=5) is True
        assert await tokens.find(namesake.id) == namesake
        assert await tokens.revoke("ci", now=6) is False


async def test_tokens_are_listed_oldest_first_and_survive_a_restart(open_accounts) -> None:
    async with open_accounts() as accounts:
        made = [
            (await accounts.service_tokens.create(f"t{n}", grants=[], now=9 - n))[0]
            for n in range(3)
        ]
    async with open_accounts() as accounts:
        assert await accounts.service_tokens.list() == made[::-1]


async def test_the_last_use_is_noted_and_is_no_change(open_accounts) -> None:
    async with open_accounts() as accounts:
        tokens = accounts.service_tokens
        first, _ = await tokens.create("a", grants=[], now=1)
        second, _ = await tokens.create("b", grants=[], now=2)
        before = await accounts.changes.current()
        await tokens.note_used({first.id: 100, second.id: 200, "gone": 300})
        await tokens.note_used({first.id: 90, second.id: 201})  # another broker was slower
        await tokens.note_used({})
        assert [token.last_used_at for token in await tokens.list()] == [100, 201]
        assert await accounts.changes.current() == before


async def test_a_token_has_a_name_as_users_have(open_accounts) -> None:
    async with open_accounts() as accounts:
        with pytest.raises(Invalid, match="name: expected 1 to 128 letters"):
            await accounts.service_tokens.create("a b", grants=[], now=1)
        assert await accounts.service_tokens.list() == []
