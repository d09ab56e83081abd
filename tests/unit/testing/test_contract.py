"""How a contract turns async tests into plain ones, and what it skips."""

import asyncio
import inspect
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from broker.testing import Contract, lacks, needs

log: list[str] = []


class Small(Contract):
    def make_bench(self, tmp_path: Path) -> Any:
        @asynccontextmanager
        async def bench():
            log.append("opened")
            try:
                yield tmp_path
            finally:
                log.append("closed")

        return bench()

    def subject(self, bench: Any) -> tuple[str, frozenset[str]]:
        return "SmallStorage", frozenset({"search"})

    async def test_body(self, bench: Path) -> None:
        """Say what it is about."""
        log.append(f"ran at {bench}")

    async def test_failure(self, bench: Path) -> None:
        assert bench is None

    @pytest.mark.parametrize("number", [1])
    async def test_fixtures(self, bench: Path, number: int, monkeypatch: Any) -> None:
        log.append(f"{number} {monkeypatch}")

    @needs("search", "dedup")
    async def test_needing(self, bench: Path) -> None:
        log.append("ran")

    @needs("search")
    async def test_needing_what_is_there(self, bench: Path) -> None:
        log.append("ran")

    @lacks("search")
    async def test_lacking(self, bench: Path) -> None:
        log.append("ran")

    @lacks("dedup")
    async def test_lacking_what_is_not_there(self, bench: Path) -> None:
        log.append("ran")

    def test_plain(self) -> str:
        return "untouched"

    async def help_out(self) -> str:
        return "untouched"


@pytest.fixture(autouse=True)
def empty_log() -> None:
    log.clear()


def test_an_async_test_becomes_a_plain_one_with_an_open_bench(tmp_path: Path) -> None:
    assert not inspect.iscoroutinefunction(Small.test_body)
    assert Small().test_body(tmp_path=tmp_path) is None
    assert log == ["opened", f"ran at {tmp_path}", "closed"]


def test_the_bench_is_left_when_the_test_fails(tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        Small().test_failure(tmp_path=tmp_path)
    assert log == ["opened", "closed"]


def test_pytest_sees_the_fixtures_but_not_the_bench() -> None:
    assert list(inspect.signature(Small.test_body).parameters) == ["self", "tmp_path"]
    names = ["self", "tmp_path", "number", "monkeypatch"]
    assert list(inspect.signature(Small.test_fixtures).parameters) == names


def test_fixtures_reach_the_body(tmp_path: Path) -> None:
    Small().test_fixtures(tmp_path=tmp_path, number=1, monkeypatch="m")
    assert log == ["opened", "1 m", "closed"]


def test_marks_and_docstrings_are_kept() -> None:
    assert Small.test_body.__doc__ == "Say what it is about."
    assert [mark.name for mark in Small.test_fixtures.pytestmark] == ["parametrize"]


def test_what_is_no_async_test_is_left_alone() -> None:
    assert Small().test_plain() == "untouched"
    assert inspect.iscoroutinefunction(Small.help_out)


def test_inherited_and_overridden_tests_are_plain_too(tmp_path: Path) -> None:
    class Smaller(Small):
        async def test_body(self, bench: Path) -> None:
            log.append("overridden")

    Smaller().test_body(tmp_path=tmp_path)
    Smaller().test_fixtures(tmp_path=tmp_path, number=2, monkeypatch="m")
    assert log == ["opened", "overridden", "closed", "opened", "2 m", "closed"]


def test_a_test_of_an_undeclared_capability_is_skipped_with_the_reason(tmp_path: Path) -> None:
    reason = '^SmallStorage does not declare the capability "dedup"$'
    with pytest.raises(pytest.skip.Exception, match=reason):
        Small().test_needing(tmp_path=tmp_path)
    assert log == []


def test_a_negative_test_of_a_declared_capability_is_skipped_with_the_reason(
    tmp_path: Path,
) -> None:
    reason = '^SmallStorage declares the capability "search"$'
    with pytest.raises(pytest.skip.Exception, match=reason):
        Small().test_lacking(tmp_path=tmp_path)
    assert log == []


def test_a_test_whose_capabilities_fit_runs(tmp_path: Path) -> None:
    Small().test_needing_what_is_there(tmp_path=tmp_path)
    Small().test_lacking_what_is_not_there(tmp_path=tmp_path)
    assert log == ["opened", "ran", "closed"] * 2


def test_a_provider_that_never_answers_fails_its_test(tmp_path: Path) -> None:
    class Silent(Small):
        patience_seconds = 0.01

        async def test_silence(self, bench: Any) -> None:
            await asyncio.Event().wait()

    with pytest.raises(pytest.fail.Exception, match=r"^no end within 0\.01 s: something never"):
        Silent().test_silence(tmp_path)


def test_a_timeout_of_the_providers_own_is_told_as_it_is(tmp_path: Path) -> None:
    class Late(Small):
        async def test_lateness(self, bench: Any) -> None:
            raise TimeoutError("of its own")

    with pytest.raises(TimeoutError, match="^of its own$"):
        Late().test_lateness(tmp_path)
