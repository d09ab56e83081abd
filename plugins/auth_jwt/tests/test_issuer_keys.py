import asyncio
import logging
from contextlib import asynccontextmanager
from contextvars import ContextVar

import pytest
from foreign_issuer import ForeignIssuer, Signer

from broker import InvalidToken, Unavailable
from broker.testing import ManualClock
from broker_auth_jwt.issuer_config import IssuerConfig
from broker_auth_jwt.issuer_keys import IssuerKeys
from broker_auth_jwt.jwks import JwksError
from broker_auth_jwt.jwks_url import JwksUrl

OLD, NEW = Signer("old").jwk(), Signer("new", "ES256").jwk()


def keys_of(issuer, clock, **options):
    config = IssuerConfig(
        name="acme",
        issuer="https://id.example.com",
        jwks_url=issuer.url,
        audience="orders",
        grants={"producer": ["producer"]},
        **options,
    )
    return IssuerKeys(config, clock=clock, logger=logging.getLogger("broker.plugins.auth_jwt"))


@asynccontextmanager
async def opened(issuer, clock, **options):
    keys = keys_of(issuer, clock, **options)
    keys.open()
    try:
        yield keys
    finally:
        await keys.close()


async def test_the_keys_are_fetched_at_the_start_and_then_known():
    async with ForeignIssuer(OLD) as issuer, opened(issuer, ManualClock()) as keys:
        for _ in range(10):
            assert (await keys.find("old")).jwk.kid == "old"
        assert issuer.fetches == 1


async def test_who_comes_before_the_first_answer_waits_for_it():
    async with ForeignIssuer(OLD) as issuer:
        issuer.answering.clear()
        async with opened(issuer, ManualClock()) as keys:
            finding = [asyncio.create_task(keys.find("old")) for _ in range(100)]
            await issuer.asked(1)
            issuer.answering.set()
            assert {key.jwk.kid for key in await asyncio.gather(*finding)} == {"old"}
            assert issuer.fetches == 1


async def test_a_thousand_unknown_keys_cost_one_fetch():
    clock = ManualClock()
    async with ForeignIssuer(OLD) as issuer, opened(issuer, clock) as keys:
        await keys.find("old")
        clock.advance(30)
        issuer.answering.clear()
        unknown = [asyncio.create_task(keys.find(f"unknown {n}")) for n in range(1000)]
        await issuer.asked(2)
        issuer.answering.set()
        answers = await asyncio.gather(*unknown, return_exceptions=True)
        assert {type(answer) for answer in answers} == {InvalidToken}
        assert issuer.fetches == 2


async def test_an_unknown_key_costs_one_fetch_per_cooldown():
    clock = ManualClock()
    async with ForeignIssuer(OLD) as issuer, opened(issuer, clock, cooldown_seconds=30) as keys:
        await keys.find("old")
        issuer.keys = [OLD, NEW]
        clock.advance(29.999)
        with pytest.raises(InvalidToken):
            await keys.find("new")
        assert issuer.fetches == 1
        clock.advance(0.001)
        assert (await keys.find("new")).jwk.kid == "new"
        for _ in range(10):
            with pytest.raises(InvalidToken):
                await keys.find("unknown")
        assert issuer.fetches == 2


async def test_a_fetch_goes_on_when_the_client_that_caused_it_goes():
    clock = ManualClock()
    async with ForeignIssuer(OLD) as issuer, opened(issuer, clock) as keys:
        await keys.find("old")
        clock.advance(30)
        issuer.keys = [OLD, NEW]
        issuer.answering.clear()
        first, second = (asyncio.create_task(keys.find("new")) for _ in range(2))
        await issuer.asked(2)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        issuer.answering.set()
        assert (await second).jwk.kid == "new"
        assert issuer.fetches == 2


async def test_keys_are_fetched_anew_before_they_are_old_and_nobody_waits():
    clock = ManualClock()
    async with ForeignIssuer(OLD) as issuer, opened(issuer, clock, cache_seconds=600) as keys:
        await keys.find("old")
        issuer.answering.clear()
        clock.advance(479.999)
        assert issuer.fetches == 1
        clock.advance(0.001)
        await issuer.asked(2)
        assert (await keys.find("old")).jwk.kid == "old"  # the issuer has not answered yet
        issuer.answering.set()


async def test_a_fetch_is_of_no_request_not_even_of_the_one_that_caused_it(monkeypatch):
    of_request, seen = ContextVar("of_request", default=None), []
    fetch = JwksUrl.fetch

    async def look(url):
        seen.append(of_request.get())
        return await fetch(url)

    monkeypatch.setattr(JwksUrl, "fetch", look)
    clock = ManualClock()
    async with ForeignIssuer(OLD) as issuer, opened(issuer, clock) as keys:
        await keys.find("old")
        clock.advance(30)
        of_request.set("r-1")
        with pytest.raises(InvalidToken):
            await keys.find("unknown")

    assert seen == [None, None]


async def test_a_key_that_was_removed_ends_with_the_next_fetch():
    clock = ManualClock()
    async with ForeignIssuer(OLD, NEW) as issuer, opened(issuer, clock) as keys:
        old = await keys.find("old")
        issuer.keys = [NEW]
        assert keys.has(old.jwk)
        clock.advance(480)
        with pytest.raises(InvalidToken):
            # Unknown, so it waits for the fetch that runs.
            await keys.find("unknown")
        assert not keys.has(old.jwk)
        with pytest.raises(InvalidToken):
            await keys.find("old")


async def test_a_key_that_was_exchanged_under_its_kid_is_another():
    clock = ManualClock()
    async with ForeignIssuer(OLD) as issuer, opened(issuer, clock) as keys:
        old = await keys.find("old")
        issuer.keys = [Signer("old", material="another").jwk()]
        clock.advance(480)
        with pytest.raises(InvalidToken):
            await keys.find("unknown")
        assert not keys.has(old.jwk)
        assert keys.has((await keys.find("old")).jwk)


async def failures(issuer, keys, clock, *, times):
    """Let background fetches fail, each after the cooldown of the last."""
    for _ in range(times):
        asked = issuer.fetches
        clock.advance(30)
        await issuer.asked(asked + 1)
        with pytest.raises((InvalidToken, Unavailable)):
            await keys.find("unknown")  # waits for the end of the fetch


async def test_a_failing_issuer_keeps_its_keys_for_a_time(caplog):
    clock = ManualClock()
    options = {"cache_seconds": 600, "stale_seconds": 300, "cooldown_seconds": 30}
    async with ForeignIssuer(OLD) as issuer, opened(issuer, clock, **options) as keys:
        old = await keys.find("old")
        issuer.status = 500
        clock.advance(480 - 30)
        await failures(issuer, keys, clock, times=14)
        clock.advance(29.999)
        assert keys.has(old.jwk)
        assert (await keys.find("old")).jwk == old.jwk
        clock.advance(0.001)
        assert not keys.has(old.jwk)
        with pytest.raises(Unavailable):
            await keys.find("old")
        assert caplog.messages == [
            f'issuer "acme": cannot use the keys of {issuer.url}: the answer was 500'
        ] * (issuer.fetches - 1)
        issuer.status = 200
        clock.advance(30)
        assert (await keys.find("old")).jwk == old.jwk


async def test_keys_that_were_never_had_are_unavailable_and_asked_for_again(caplog):
    clock = ManualClock()
    async with ForeignIssuer(OLD) as issuer:
        issuer.status = 503
        async with opened(issuer, clock) as keys:
            with pytest.raises(Unavailable) as refused:
                await keys.find("old")
            assert str(refused.value) == "the keys that verify this token cannot be fetched now"
            assert refused.value.retry_after == 30
            clock.advance(29.5)
            with pytest.raises(Unavailable) as refused:
                await keys.find("old")
            assert refused.value.retry_after == 1
            assert issuer.fetches == len(caplog.messages) == 1
            issuer.status = 200
            clock.advance(0.5)  # by itself, without a token
            await issuer.asked(2)
            assert (await keys.find("old")).jwk.kid == "old"


async def test_an_issuer_that_does_not_answer_makes_nobody_wait_longer_than_five_seconds():
    clock = ManualClock()
    async with ForeignIssuer(OLD) as issuer:
        issuer.answering.clear()
        async with opened(issuer, clock) as keys:
            finding = asyncio.create_task(keys.find("old"))
            await issuer.asked(1)
            clock.advance(5)
            with pytest.raises(Unavailable):
                await finding
            with pytest.raises(Unavailable):
                await keys.find("old")  # nobody waits during the cooldown
            assert issuer.fetches == 1


async def test_an_issuer_that_publishes_no_usable_key_has_withdrawn_all(caplog):
    clock = ManualClock()
    async with ForeignIssuer(OLD) as issuer, opened(issuer, clock) as keys:
        old = await keys.find("old")
        issuer.keys = [{"kty": "oct", "kid": "old", "k": "c2VjcmV0"}]
        clock.advance(480)
        with pytest.raises(InvalidToken):
            await keys.find("unknown")
        assert not keys.has(old.jwk)
        assert caplog.messages == [
            f'issuer "acme": cannot use the keys of {issuer.url}: '
            "no key there can verify RS256 ES256 EdDSA"
        ]


async def test_what_is_no_key_set_changes_nothing(caplog):
    clock = ManualClock()
    async with ForeignIssuer(OLD) as issuer, opened(issuer, clock) as keys:
        old = await keys.find("old")
        issuer.body = b"<html>Sign in</html>"
        clock.advance(480)
        with pytest.raises(InvalidToken):
            await keys.find("unknown")
        assert keys.has(old.jwk)
        assert "no JWK Set of at most 100 keys" in caplog.text


async def test_the_cooldown_is_for_tokens_and_delays_no_regular_fetch():
    clock = ManualClock()
    options = {"cache_seconds": 30, "cooldown_seconds": 60}
    async with ForeignIssuer(OLD) as issuer, opened(issuer, clock, **options) as keys:
        await keys.find("old")
        clock.advance(23.999)
        with pytest.raises(InvalidToken):
            await keys.find("new")
        assert issuer.fetches == 1
        clock.advance(0.001)
        await issuer.asked(2)


async def test_a_fetch_that_a_token_caused_puts_the_regular_one_off():
    clock = ManualClock()
    async with ForeignIssuer(OLD) as issuer, opened(issuer, clock) as keys:
        await keys.find("old")
        clock.advance(100)
        with pytest.raises(InvalidToken):
            await keys.find("unknown")
        issuer.answering.clear()
        clock.advance(479.999)
        assert len(asyncio.all_tasks() - {asyncio.current_task(), *issuer.handlers}) == 0
        clock.advance(0.001)
        await issuer.asked(3)


async def test_nothing_is_fetched_after_closing(monkeypatch):
    clock, fetches = ManualClock(), []

    async def fetch(url):
        fetches.append(url)
        raise JwksError("closed")

    async with ForeignIssuer(OLD) as issuer:
        for answers in (True, False):
            keys = keys_of(issuer, clock)
            keys.open()
            if answers:
                await keys.find("old")
            else:
                issuer.answering.clear()
                await issuer.asked(2)
            await keys.close()
            with monkeypatch.context() as patch:
                patch.setattr(JwksUrl, "fetch", fetch)
                clock.advance(3600)
                with pytest.raises((InvalidToken, Unavailable)):
                    await keys.find("unknown")
    assert fetches == []


async def test_closing_ends_the_fetch_that_runs(caplog):
    clock = ManualClock()
    async with ForeignIssuer(OLD) as issuer:
        issuer.answering.clear()
        keys = keys_of(issuer, clock)
        keys.open()
        finding = asyncio.create_task(keys.find("old"))
        await issuer.asked(1)
        await keys.close()
        await keys.close()
        with pytest.raises(Unavailable):
            await finding
        assert caplog.messages == []  # it was ended, it did not fail
        assert asyncio.all_tasks() == {asyncio.current_task(), *issuer.handlers}


async def test_closing_is_harmless_without_opening():
    async with ForeignIssuer(OLD) as issuer:
        keys = keys_of(issuer, ManualClock())
        await keys.close()
        with pytest.raises(Unavailable):
            await keys.find("old")
        assert issuer.fetches == 0
