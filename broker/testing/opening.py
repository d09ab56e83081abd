"""What every provider does, whatever its role: it is opened, says how it is, and is closed."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Generic, Self, TypeVar

from broker.provider import Provider

Role = TypeVar("Role", bound=Provider)
T = TypeVar("T")


class ProviderBench(Generic[Role]):
    """A provider that is open while a test runs, and others like it."""

    def __init__(self, make: Callable[[], Role]) -> None:
        self.another = make
        """Makes one that is not opened."""
        self.provider = make()
        """The one under test."""

    async def __aenter__(self) -> Self:
        await self.on_loop(self.provider.open())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.on_loop(self.provider.close())

    async def on_loop(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Await something of a provider, on the event loop that the core has for that."""
        return await coroutine


class Opening:
    """The rows about ping and close."""

    async def test_an_open_one_answers_ping(self, bench: ProviderBench[Any]) -> None:
        await bench.on_loop(bench.provider.ping())

    async def test_closing_twice_is_harmless(self, bench: ProviderBench[Any]) -> None:
        await bench.on_loop(bench.provider.close())
        await bench.on_loop(bench.provider.close())

    async def test_closing_without_opening_is_harmless(self, bench: ProviderBench[Any]) -> None:
        await bench.on_loop(bench.another().close())
        await self._check_works(bench)

    async def _check_works(self, bench: Any) -> None:
        """Fail unless an open provider works; roles ask for more than its ping."""
        await bench.on_loop(bench.provider.ping())
