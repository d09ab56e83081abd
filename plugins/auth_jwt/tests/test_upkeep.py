"""What is done from time to time, and once more at the end."""

import logging
from types import SimpleNamespace
from typing import Any

import pytest

from broker import Unavailable
from broker.testing import ManualClock
from broker_auth_jwt.bearer import BearerTokens
from broker_auth_jwt.upkeep import INTERVAL_MS, kept_up


class Accounts:
    """Notes uses, unless it is away."""

    def __init__(self) -> None:
        self.noted: list[dict[str, int]] = []
        self.cleaned: list[int] = []
        self.is_away = False
        self.service_tokens = self

    async def note_used(self, uses: dict[str, int]) -> None:
        if self.is_away:
            raise Unavailable("away")
        self.noted.append(dict(uses))

    async def clean(self, now: int) -> None:
        self.cleaned.append(now)


@pytest.fixture
def parts() -> Any:
    clock, accounts = ManualClock(), Accounts()
    nothing: dict[str, Any] = dict.fromkeys(("keys", "tokens", "issuers", "roles"))
    bearer = BearerTokens(accounts=accounts, clock=clock, leeway_ms=0, **nothing)
    logger = logging.getLogger("broker.plugins.auth_jwt")
    return SimpleNamespace(clock=clock, accounts=accounts, bearer_tokens=bearer, logger=logger)


async def test_uses_are_kept_until_they_are_written_down(parts: Any) -> None:
    parts.accounts.is_away = True
    parts.bearer_tokens._uses = {"a": 1, "b": 1}
    with pytest.raises(Unavailable):
        await parts.bearer_tokens.note_uses()
    parts.bearer_tokens._uses["a"] = 2
    parts.accounts.is_away = False

    await parts.bearer_tokens.note_uses()
    await parts.bearer_tokens.note_uses()

    assert parts.accounts.noted == [{"a": 2, "b": 1}, {}]


async def test_it_is_done_at_the_end_also_when_it_failed_before(
    parts: Any, caplog: pytest.LogCaptureFixture
) -> None:
    parts.accounts.is_away = True
    parts.bearer_tokens._uses = {"a": 1}
    async with kept_up(parts):
        pass
    assert parts.accounts.noted == []
    assert [record.exc_info[0] for record in caplog.records] == [Unavailable]

    parts.accounts.is_away = False
    async with kept_up(parts):
        pass
    assert parts.accounts.noted == [{"a": 1}]
    assert parts.accounts.cleaned == [parts.clock.now()]
    assert INTERVAL_MS == 60_000
