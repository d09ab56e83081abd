"""What every provider has in common: it is opened, asked for its health, and closed."""

from __future__ import annotations

from abc import ABC
from collections.abc import Sequence
from typing import ClassVar


class Provider(ABC):
    """Base of everything that a plugin's hook returns.

    Construct cheaply and open nothing in `__init__`: the core calls `open` once before the first
    use and `close` once after the last, in reverse order of opening, also when a later provider
    failed to open. A provider owns what it opened.
    """

    open_has_deadline: ClassVar[bool] = True
    """Whether the start fails when `open` takes more than 300 s. False if it takes the longer the
    more there is; cancelling must end it soon then. For `close` there are always 5 s."""

    async def open(self) -> None:
        """Acquire connections, threads, files; raise StartupError to stop with one line."""

    async def close(self) -> None:
        """Give back what `open` took. Must be harmless when called twice or without `open`."""

    async def notices(self) -> Sequence[str]:
        """Return what whoever starts the broker has to know, a line each.

        Called by `broker serve` once, when everything is open; the lines are shown on its screen
        and written nowhere else.
        """
        return ()

    async def ping(self) -> None:
        """Raise if the provider cannot work now; asked by `/readyz` and `broker doctor`."""
