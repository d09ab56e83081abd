"""The three answers: an identity, "not mine", and "mine, and bad"."""

from __future__ import annotations

import asyncio
import re

from msgspec.structs import replace

from broker.auth import Identity
from broker.errors import Unavailable
from broker.testing.authenticator.bench import NOBODYS, Answer, AuthenticatorBench, is_refused
from broker.testing.cancelled import at_every_turn, cancel
from broker.testing.contract import lacks, needs

SCOPE = re.compile(r"admin|(publish|consume|read|manage):[A-Za-z0-9._*?\[\]!-]+")
LEEWAY_SECONDS = 300
"""No leeway for clocks that differ is longer."""
AT_ONCE = 8


class Answers:
    """The rows about who is let in, as whom, for how long, and how often."""

    async def test_valid_credentials_are_somebodys(self, bench: AuthenticatorBench) -> None:
        identity = await bench.identify(await bench.valid())
        assert identity.subject.strip(), "an identity has a name"
        assert identity.subject.isprintable()
        assert not identity.is_anonymous, "who shows credentials is not anonymous"

    async def test_scopes_are_an_action_and_a_glob_of_queues(
        self, bench: AuthenticatorBench
    ) -> None:
        identity = await bench.identify(await bench.valid())
        assert isinstance(identity.scopes, frozenset)
        malformed = [scope for scope in identity.scopes if not SCOPE.fullmatch(scope)]
        assert malformed == []

    async def test_an_identity_has_the_address_of_who_asks_now(
        self, bench: AuthenticatorBench
    ) -> None:
        for peer in ("198.51.100.7", "2001:db8::7", "198.51.100.7"):
            credentials = replace(await bench.valid(), peer=peer)
            answer = await bench.authenticator.authenticate(credentials)
            assert answer is not None
            assert answer.peer == peer

    async def test_what_is_not_mine_is_left_to_others(self, bench: AuthenticatorBench) -> None:
        await bench.identify(await bench.valid())
        answers = {repr(sample): await bench.ask(sample) for sample in await bench.foreign()}
        assert answers == dict.fromkeys(answers)

    async def test_the_token_of_another_scheme_is_left_to_others(
        self, bench: AuthenticatorBench
    ) -> None:
        credentials = await bench.valid()
        assert await bench.ask(replace(credentials, scheme=NOBODYS)) is None

    async def test_bad_credentials_are_refused(self, bench: AuthenticatorBench) -> None:
        answers = {name: await bench.ask(sample) for name, sample in (await bench.bad()).items()}
        assert {name: a for name, a in answers.items() if not is_refused(a)} == {}

    async def test_bad_credentials_stay_bad(self, bench: AuthenticatorBench) -> None:
        bad = dict(await bench.bad())
        for name in [*bad, *reversed(bad)] * 2:
            await bench.identify(await bench.valid())
            assert is_refused(await bench.ask(bad[name])), name

    @lacks("once")
    async def test_the_same_credentials_get_the_same_answer(
        self, bench: AuthenticatorBench
    ) -> None:
        credentials = await bench.valid()
        identity = await bench.identify(credentials)
        assert [await bench.ask(credentials) for _ in range(3)] == [identity] * 3

    @needs("once")
    async def test_what_is_good_once_is_refused_from_then_on(
        self, bench: AuthenticatorBench
    ) -> None:
        credentials = await bench.valid()
        await bench.identify(credentials)
        for _ in range(3):
            assert is_refused(await bench.ask(credentials))

    @needs("once")
    async def test_what_is_good_once_is_so_for_one_of_many_at_one_time(
        self, bench: AuthenticatorBench
    ) -> None:
        credentials = await bench.valid()
        answers = await asyncio.gather(*(bench.ask(credentials) for _ in range(AT_ONCE)))
        assert sum(isinstance(answer, Identity) for answer in answers) == 1

    @lacks("expires")
    async def test_credentials_without_an_end_say_no_time(self, bench: AuthenticatorBench) -> None:
        identity = await bench.identify(await bench.valid())
        assert identity.expires_at is None, 'declare the capability "expires"'

    @needs("expires")
    async def test_credentials_are_good_until_they_expire(self, bench: AuthenticatorBench) -> None:
        first, second = await bench.valid(), await bench.valid()
        left_ms = expiry(await bench.identify(first)) - bench.clock.now()
        assert left_ms > 0
        bench.clock.advance((left_ms - 1) / 1000)
        assert expiry(await bench.identify(second)) > bench.clock.now()

    @needs("expires")
    async def test_expired_credentials_are_refused(self, bench: AuthenticatorBench) -> None:
        first, second = await bench.valid(), await bench.valid()
        left_ms = expiry(await bench.identify(first)) - bench.clock.now()
        bench.clock.advance(left_ms / 1000 + LEEWAY_SECONDS)
        assert is_refused(await bench.ask(second))

    @needs("expires")
    async def test_expired_credentials_are_refused_also_by_who_remembers_them(
        self, bench: AuthenticatorBench
    ) -> None:
        credentials = await bench.valid()
        left_ms = expiry(await bench.identify(credentials)) - bench.clock.now()
        await bench.ask(credentials)
        bench.clock.advance(left_ms / 1000 + LEEWAY_SECONDS)
        assert is_refused(await bench.ask(credentials))

    async def test_calls_at_one_time_do_not_mix(self, bench: AuthenticatorBench) -> None:
        valid = [await bench.valid() for _ in range(AT_ONCE)]
        bad = list((await bench.bad()).values())
        foreign = await bench.foreign()
        mixed = [sample for one in valid for sample in (one, *bad, *foreign)]
        kinds = ["identity", *["refused"] * len(bad), *["none"] * len(foreign)]
        answers = await asyncio.gather(*(bench.ask(sample) for sample in mixed))
        assert [kind_of(answer) for answer in answers] == kinds * AT_ONCE

    @at_every_turn
    async def test_who_stops_waiting_leaves_it_usable(
        self, bench: AuthenticatorBench, turns: int
    ) -> None:
        bad = list((await bench.bad()).values())
        for sample in (await bench.valid(), *bad):
            await cancel(bench.ask(sample), turns)
            await bench.identify(await bench.valid())
            assert is_refused(await bench.ask(bad[0]))


class Unopened:
    """The rows about who is asked while it is not open."""

    async def test_before_it_is_open_it_is_right_or_unavailable(
        self, bench: AuthenticatorBench
    ) -> None:
        valid, bad, unopened = await bench.valid(), await bench.bad(), bench.another()
        assert kind_of(await bench.ask(valid, unopened)) in ("identity", "unavailable")
        for name, sample in bad.items():
            assert kind_of(await bench.ask(sample, unopened)) in ("refused", "unavailable"), name

    async def test_after_it_was_closed_it_is_right_or_unavailable(
        self, bench: AuthenticatorBench
    ) -> None:
        valid, bad = await bench.valid(), await bench.bad()
        await bench.authenticator.close()
        assert kind_of(await bench.ask(valid)) in ("identity", "unavailable")
        for name, sample in bad.items():
            assert kind_of(await bench.ask(sample)) in ("refused", "unavailable"), name

    async def _check_works(self, bench: AuthenticatorBench) -> None:
        await bench.identify(await bench.valid())


def expiry(identity: Identity) -> int:
    """Return when an identity ends, which it has to say."""
    assert identity.expires_at is not None, 'declares "expires", and does not say when'
    return identity.expires_at


def kind_of(answer: Answer) -> str:
    """Return a word for an answer."""
    if answer is None:
        return "none"
    if isinstance(answer, Identity):
        return "identity"
    return "unavailable" if isinstance(answer, Unavailable) else "refused"
