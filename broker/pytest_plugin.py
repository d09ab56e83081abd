"""The kit's part of pytest: its fixtures, what excuses a test of a contract, a line at the end.

pytest loads it by itself wherever the broker is installed, so importing it is light: the kit is
imported by those who use it.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from broker.testing import BrokerFactory, Client, LiveServers, ManualClock, Recorder

AsyncTest = Callable[..., Coroutine[Any, Any, None]]

CONTRACT = "broker_contract"
"""The property of a test under which its report tells whose contract it belongs to."""

CAPABILITY = re.compile(r'(does not declare|declares) the capability "([^"]+)"')
"""Why a test was skipped."""


@pytest.fixture
def clock() -> ManualClock:
    """Return a clock that stands still until the test moves it."""
    from broker.testing import ManualClock

    return ManualClock()


@pytest.fixture
def recorder() -> Recorder:
    """Return an observer that keeps what the brokers of `broker_factory` tell."""
    from broker.testing import Recorder

    return Recorder()


@pytest.fixture
def broker_factory(tmp_path: Path, clock: ManualClock, recorder: Recorder) -> BrokerFactory:
    """Return what makes brokers inside this process, each in the hands of a client."""
    from broker.testing import BrokerFactory

    return BrokerFactory(tmp_path / "data", clock, recorder)


@pytest.fixture
def client(broker_factory: BrokerFactory) -> Client:
    """Return the client of a broker without plugins, which runs while the test does.

    Override it in `conftest.py` for one with yours: `return broker_factory(["acme"])`.
    """
    return broker_factory()


@pytest.fixture
def live_server(tmp_path: Path) -> Iterator[LiveServers]:
    """Return what starts `broker serve` as a process; all end with the test, and if it fails it
    shows what they wrote to their logs."""
    from broker.testing import LiveServers

    servers = LiveServers(tmp_path)
    yield servers
    servers.stop()
    print(servers.logs())  # noqa: T201  # which pytest keeps, and shows of a test that failed


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    """Have an async test enter the `client` that it takes, whichever plugin runs it."""
    if not isinstance(item, pytest.Function) or not inspect.iscoroutinefunction(item.obj):
        return
    client = item.funcargs.get("client")
    if client is not None and "broker.testing" in sys.modules:
        from broker.testing import Client

        if isinstance(client, Client):
            item.obj = _entering(client, item.obj)


def _entering(client: Client, test: AsyncTest) -> AsyncTest:
    @functools.wraps(test)
    async def entered(**fixtures: Any) -> None:
        async with client:
            await test(**fixtures)

    return entered


def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run an `async def` test that no other plugin claims in an event loop of its own, each of its
    examples under Hypothesis's `@given`."""
    test, fixtures = pyfuncitem.obj, pyfuncitem.funcargs
    given: Any = getattr(test, "hypothesis", None)
    if inspect.iscoroutinefunction(getattr(given, "inner_test", None)):
        given.inner_test = _plain(given.inner_test)  # documented for runners of async tests
    if not inspect.iscoroutinefunction(test):
        return None
    arguments = inspect.signature(test).parameters
    asyncio.run(test(**{name: fixtures[name] for name in arguments if name in fixtures}))
    return True


def _plain(example: AsyncTest) -> Callable[..., None]:
    @functools.wraps(example)
    def plain(*arguments: Any, **fixtures: Any) -> None:
        asyncio.run(example(*arguments, **fixtures))

    return plain


def pytest_pycollect_makeitem(collector: pytest.Module | pytest.Class, name: str, obj: Any) -> None:
    """Refuse a class of a contract without its factory: pytest would pass over it, and be green."""
    if "broker.testing" not in sys.modules or not inspect.isabstract(obj):
        return
    from broker.testing import Contract

    is_meant = collector.classnamefilter(name) and getattr(obj, "__test__", True)
    if issubclass(obj, Contract) and is_meant and obj.__module__ == collector.module.__name__:
        missing = ", ".join(sorted(obj.__abstractmethods__))
        raise collector.CollectError(f"{name} tests nothing yet: it does not define {missing}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Excuse tests of contracts from what they need not pass, and note whose they are."""
    if "broker.testing" not in sys.modules:
        return
    from broker.testing import Contract

    for item in items:
        if isinstance(item, pytest.Function) and item.cls and issubclass(item.cls, Contract):
            excuse = item.cls.excuse(item.function, item.name)
            if excuse is not None:
                item.add_marker(excuse)
            owner = item.nodeid.rpartition("::")[0]
            item.user_properties.append((CONTRACT, (owner, item.cls.contract)))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Write a line for each class of a contract: whether it keeps it, and how many tests say so."""
    outcomes: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    skipped_for: dict[tuple[str, str], set[tuple[str, str]]] = defaultdict(set)
    for outcome, reports in terminalreporter.stats.items():
        for report in reports:
            if not isinstance(report, pytest.TestReport):  # what is deselected has none
                continue
            noted: dict[str, Any] = dict(report.user_properties)
            if CONTRACT in noted:
                name, version = noted[CONTRACT]
                outcomes[name, version][outcome] += 1
                skipped_for[name, version].update(CAPABILITY.findall(str(report.longrepr)))
    for owner, counted in sorted(outcomes.items()):
        terminalreporter.write_line(_line(*owner, counted, sorted(skipped_for[owner])))


def _line(
    name: str, version: str, outcomes: Counter[str], skipped_for: list[tuple[str, str]]
) -> str:
    said = "breaks" if outcomes["failed"] or outcomes["error"] else "keeps"
    order = ("failed", "error", "passed", "skipped", "xfailed", "xpassed")
    counts = ", ".join(f"{outcomes[outcome]} {outcome}" for outcome in order if outcomes[outcome])
    undeclared = ", ".join(name for verb, name in skipped_for if verb != "declares")
    declared = ", ".join(name for verb, name in skipped_for if verb == "declares")
    reasons = [undeclared and f"{undeclared} undeclared", declared and f"{declared} declared"]
    note = "; ".join(filter(None, reasons))
    return f"{name} {said} contract {version}: {counts}" + (f" ({note})" if note else "")
