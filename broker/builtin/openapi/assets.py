"""The files of Swagger UI and Redoc: those in the package `offapi`, of which no code is run."""

from __future__ import annotations

import asyncio
from importlib.util import find_spec
from pathlib import Path

from broker import BrokerError


class NotInstalled(BrokerError):
    """The pages need a package that is not installed here."""

    code, title, status = "not-installed", "Not installed", 404

    def __init__(self) -> None:
        super().__init__(
            "what the pages load is not installed here: pip install 'replika-broker[docs]'"
        )


class Assets:
    """Where the files are; looked for once."""

    def __init__(self) -> None:
        self._directory: Path | None = None

    async def find(self) -> None:
        """Look for them."""
        # Which does not import it: that would read all of them.
        spec = await asyncio.to_thread(find_spec, "offapi")
        if spec is not None and spec.submodule_search_locations:
            self._directory = Path(spec.submodule_search_locations[0])

    @property
    def directory(self) -> Path:
        """The directory that they are in; raises NotInstalled."""
        if self._directory is None:
            raise NotInstalled
        return self._directory
