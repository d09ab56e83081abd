"""The files of Swagger UI and Redoc: those in the package `offapi`, of which no code is run."""

from __future__ import annotations

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


def find_assets() -> Path:
    """Return the directory of the files; raises NotInstalled."""
    spec = find_spec("offapi")  # which does not import it: that would read all of them
    if spec is None or not spec.submodule_search_locations:
        raise NotInstalled
    return Path(spec.submodule_search_locations[0])
