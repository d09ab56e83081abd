"""The workbench of the transport contract: brokers around the transport."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from broker.extend import Transport
from broker.testing.transport.probe import Probe
from broker.testing.transport.stage import Stage

if TYPE_CHECKING:
    from broker.testing.transport import TransportContract

NOTHING = Probe(request="GET /")


class TransportBench:
    """Makes stages, each with a directory of its own; enter one to have its broker run."""

    def __init__(self, contract: TransportContract, tmp_path: Path) -> None:
        self.contract = contract
        self.tmp_path = tmp_path
        self._made = 0

    async def __aenter__(self) -> TransportBench:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        """Leave nothing: stages close what they opened."""

    def stage(self, probe: Probe = NOTHING, *, folder: str | None = None, **options: Any) -> Stage:
        """Return a stage for a probe, in a folder that may be that of one before; the options are
        those of `Stage`."""
        self._made += 1
        return Stage(
            self.contract, self.tmp_path / (folder or f"broker-{self._made}"), probe, **options
        )

    def transport(self) -> Transport:
        """Return the transport of a broker that is never opened."""
        return self.stage().transport
