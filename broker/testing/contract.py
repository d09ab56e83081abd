"""What every contract has in common: async tests without a plugin, skips that name their reason."""

from __future__ import annotations

import asyncio
import functools
import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, TypeAlias, TypeVar

import pytest

from broker.wording import did_you_mean, shown

Body: TypeAlias = Callable[..., Coroutine[Any, Any, None]]
AnyTest = TypeVar("AnyTest", bound=Callable[..., Any])
Made = TypeVar("Made")

FIRST = "1.0"
VERSION = FIRST
"""The newest version of the contracts."""

_NEEDS = "_contract_needs"
_LACKS = "_contract_lacks"
_SINCE = "_contract_since"


def needs(*capabilities: str) -> Callable[[AnyTest], AnyTest]:
    """Skip the test, saying why, unless the provider declares all of these capabilities."""
    return functools.partial(_mark, _NEEDS, capabilities)


def lacks(*capabilities: str) -> Callable[[AnyTest], AnyTest]:
    """Skip the test, saying why, if the provider declares one of these capabilities.

    For tests that keep flags from lying: what is not declared must not half work.
    """
    return functools.partial(_mark, _LACKS, capabilities)


def since(version: str) -> Callable[[AnyTest], AnyTest]:
    """Demand the test of those only who pin this version of the contract or a newer one.

    For others it runs, too, and is reported when it fails.
    """
    return functools.partial(_mark, _SINCE, version)


def _mark(name: str, value: object, body: AnyTest) -> AnyTest:
    setattr(body, name, value)
    return body


class Contract(ABC):
    """Base of all contracts: every `async def test_*(self, bench, ...)` becomes a plain test.

    Each test gets a `bench` of its own from `make_bench`, which is entered and left in the event
    loop of the test. All further arguments are pytest fixtures.
    """

    contract: ClassVar[str] = VERSION
    """The version of the contract that this provider keeps: a newer test may fail, and is told of
    then. Write it down, `contract = "1.0"`, so that a newer kit does not turn your tests red."""

    patience_seconds: ClassVar[float] = 600
    """After so long a test fails whose provider waits for what does not come."""

    expected_failures: ClassVar[Mapping[str, str]] = MappingProxyType({})
    """Why tests fail that should not, by the name of the test, or of one of its runs: `test_name`
    or `test_name[ack]`. One that passes all the same fails, for its line here is out of date."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        tests = [name for name in dir(cls) if name.startswith("test_")]
        for name in tests:
            body = getattr(cls, name)
            if inspect.iscoroutinefunction(body):
                setattr(cls, name, _plain(body))
        _check_version(cls)
        for name in cls.expected_failures:
            if (test := name.partition("[")[0]) not in tests:
                hint = did_you_mean(test, tests) or "; remove it"
                raise TypeError(
                    f"{cls.__name__}.expected_failures: the contract has no {shown(test)}{hint}"
                )

    @classmethod
    def excuse(cls, test: Callable[..., Any], name: str) -> pytest.MarkDecorator | None:
        """Return what lets a test of this class fail, called `name` with its parameters; None for
        one that has to pass."""
        for known in (name, name.partition("[")[0]):
            if known in cls.expected_failures:
                return pytest.mark.xfail(strict=True, reason=cls.expected_failures[known])
        version = getattr(test, _SINCE, FIRST)
        if _parts(version) > _parts(cls.contract):
            reason = f"contract {version}, newer than the {cls.contract} that this class pins"
            return pytest.mark.xfail(strict=False, reason=reason)
        return None

    @abstractmethod
    def make_bench(self, tmp_path: Path) -> AbstractAsyncContextManager[Any]:
        """Return what the tests of this contract work at; open nothing yet."""

    @abstractmethod
    def subject(self, bench: Any) -> tuple[str, frozenset[str]]:
        """Return the provider's name for skip reasons, and the capabilities that it declares."""


def made(kind: type[Any], factory: Callable[..., Made], *arguments: object) -> Made:
    """Return what an author's factory makes of the arguments; fails the test if it is no `kind`."""
    provider = factory(*arguments)
    if isinstance(provider, kind):
        return provider
    if inspect.iscoroutine(provider):
        provider.close()  # or it would be reported as never awaited
        pytest.fail(f"{factory.__name__} must not be async def", pytrace=False)
    problem = (
        f"{factory.__name__} returned {_what(provider)}; expected an instance of {kind.__name__}"
    )
    pytest.fail(problem, pytrace=False)


def _what(value: object) -> str:
    if inspect.isclass(value):
        return f"the class {value.__name__}"
    return "None" if value is None else type(value).__name__


def _parts(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def _check_version(cls: type[Contract]) -> None:
    try:
        known = _parts(cls.contract) <= _parts(VERSION)
    except (AttributeError, ValueError):
        known = False
    if not known:
        raise TypeError(
            f'{cls.__name__}.contract: expected a version up to "{VERSION}", which is the newest '
            f"of this kit; got {cls.contract!r}"
        )


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
    try:
        async with asyncio.timeout(contract.patience_seconds) as patience, bench as entered:
            await body(contract, entered, **fixtures)
    except TimeoutError:
        if patience.expired():
            pytest.fail(f"no end within {contract.patience_seconds} s: something never answers")
        raise


def _skip_for_capabilities(body: Body, name: str, declared: frozenset[str]) -> None:
    for capability in getattr(body, _NEEDS, ()):
        if capability not in declared:
            pytest.skip(f'{name} does not declare the capability "{capability}"')
    for capability in getattr(body, _LACKS, ()):
        if capability in declared:
            pytest.skip(f'{name} declares the capability "{capability}"')
