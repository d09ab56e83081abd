"""What every contract has in common: async tests without a plugin, skips that name their reason."""

from __future__ import annotations

import asyncio
import functools
import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import pytest

Body: TypeAlias = Callable[..., Coroutine[Any, Any, None]]
AnyBody = TypeVar("AnyBody", bound=Body)

_NEEDS = "_contract_needs"
_LACKS = "_contract_lacks"


def needs(*capabilities: str) -> Callable[[AnyBody], AnyBody]:
    """Skip the test, saying why, unless the provider declares all of these capabilities."""
    return functools.partial(_mark, _NEEDS, capabilities)


def lacks(*capabilities: str) -> Callable[[AnyBody], AnyBody]:
    """Skip the test, saying why, if the provider declares one of these capabilities.

    For tests that keep flags from lying: what is not declared must not half work.
    """
    return functools.partial(_mark, _LACKS, capabilities)


def _mark(name: str, capabilities: tuple[str, ...], body: AnyBody) -> AnyBody:
    setattr(body, name, capabilities)
    return body


class Contract(ABC):
    """Base of all contracts: every `async def test_*(self, bench, ...)` becomes a plain test.

    Each test gets a `bench` of its own from `make_bench`, which is entered and left in the event
    loop of the test. All further arguments are pytest fixtures.
    """

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name in filter(_is_test, dir(cls)):
            body = getattr(cls, name)
            if inspect.iscoroutinefunction(body):
                setattr(cls, name, _plain(body))

    @abstractmethod
    def make_bench(self, tmp_path: Path) -> AbstractAsyncContextManager[Any]:
        """Return what the tests of this contract work at; open nothing yet."""

    @abstractmethod
    def subject(self, bench: Any) -> tuple[str, frozenset[str]]:
        """Return the provider's name for skip reasons, and the capabilities that it declares."""


def _is_test(name: str) -> bool:
    return name.startswith("test_")


def _plain(body: Body) -> Callable[..., None]:
    @functools.wraps(body)
    def test(self: Contract, tmp_path: Path, **fixtures: Any) -> None:
        bench = self.make_bench(tmp_path)
        _skip_for_capabilities(body, *self.subject(bench))
        asyncio.run(_exercise(self, body, bench, fixtures))

    own, _, *fixtures = inspect.signature(body).parameters.values()
    tmp_path = inspect.Parameter("tmp_path", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    test.__signature__ = inspect.Signature([own, tmp_path, *fixtures])  # type: ignore[attr-defined]  # read by pytest
    return test


async def _exercise(
    contract: Contract,
    body: Body,
    bench: AbstractAsyncContextManager[Any],
    fixtures: dict[str, Any],
) -> None:
    async with bench as entered:
        await body(contract, entered, **fixtures)


def _skip_for_capabilities(body: Body, name: str, declared: frozenset[str]) -> None:
    for capability in getattr(body, _NEEDS, ()):
        if capability not in declared:
            pytest.skip(f'{name} does not declare the capability "{capability}"')
    for capability in getattr(body, _LACKS, ()):
        if capability in declared:
            pytest.skip(f'{name} declares the capability "{capability}"')
