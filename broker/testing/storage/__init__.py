"""The storage contract: what makes a third party's storage trustworthy."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path

from broker.storage import Storage
from broker.testing.clock import ManualClock
from broker.testing.contract import Contract, made
from broker.testing.crashing import Crashing
from broker.testing.opening import Opening
from broker.testing.storage.atomicity import Atomicity
from broker.testing.storage.bench import Workbench
from broker.testing.storage.browsing import Browsing
from broker.testing.storage.browsing_each import BrowsingEach
from broker.testing.storage.cancelling import Cancelling
from broker.testing.storage.concurrency import Concurrency
from broker.testing.storage.crowds import Crowds
from broker.testing.storage.dead_letters import DeadLetters
from broker.testing.storage.dedup import Dedup
from broker.testing.storage.deleting import Deleting
from broker.testing.storage.expiring import Expiring
from broker.testing.storage.files import Files
from broker.testing.storage.groups import Groups
from broker.testing.storage.lapsing import Lapsing
from broker.testing.storage.leasing import Leasing
from broker.testing.storage.lifecycle import Lifecycle
from broker.testing.storage.limits import Limits
from broker.testing.storage.outcomes import Outcomes
from broker.testing.storage.overlapping import Overlapping
from broker.testing.storage.programs import Programs
from broker.testing.storage.publishing import Publishing
from broker.testing.storage.queues import Queues
from broker.testing.storage.races import Races
from broker.testing.storage.redriving import Redriving
from broker.testing.storage.settling import Settling
from broker.testing.storage.telling import Telling
from broker.testing.storage.upkeep import Upkeep

__all__ = ["StorageContract", "Workbench"]


class StorageContract(
    Queues,
    Publishing,
    Leasing,
    Settling,
    Outcomes,
    Atomicity,
    Lapsing,
    Expiring,
    Upkeep,
    DeadLetters,
    Redriving,
    Telling,
    Groups,
    Dedup,
    Limits,
    Browsing,
    BrowsingEach,
    Deleting,
    Files,
    Lifecycle,
    Opening,
    Concurrency,
    Races,
    Crowds,
    Cancelling,
    Overlapping,
    Programs,
    Crashing,
    Contract,
):
    """Subclass it in a test module, return your storage, and pytest runs some five hundred
    tests.

        class TestAcmeStorage(StorageContract):
            def make_storage(self, tmp_path, clock):
                return AcmeStorage(tmp_path / "acme.db")

    Tests of a capability that the storage does not declare are skipped, and say so.

    Two of them look for what no example thought of. One runs programs of all operations on your
    storage and on the memory storage, and compares every answer and all that can be seen after
    each step; `broker/testing/storage/twins.py` lists what may differ. It always tries the same
    200 programs of 50 steps, in some twenty seconds; before a release let it try others, for as
    long as you like: BROKER_MACHINE_EXAMPLES=5000 BROKER_MACHINE_STEPS=100. What it finds it
    makes small and prints as a program. The other lets operations overlap, and looks for an
    order of them that explains their answers.

    A storage that is `durable` is also restarted and crashed; see `crash`.
    """

    @abstractmethod
    def make_storage(self, tmp_path: Path, clock: ManualClock) -> Storage:
        """Return a new storage, not opened. The kit opens and closes it.

        It keeps its data in `tmp_path`: a durable storage that is made there again, after the
        first was closed, must hold the same data. Several may be made there at one time; unless
        they declare `shared`, only one is opened, and `open` of another raises StorageLocked.
        """

    def make_bench(self, tmp_path: Path) -> Workbench:
        """Return a workbench with a storage of its own and a clock that stands still."""
        clock = ManualClock()
        folder = tmp_path

        def crash() -> None:
            nonlocal folder
            folder = self.crash(folder)

        return Workbench(lambda: made(Storage, self.make_storage, folder, clock), clock, crash)

    def subject(self, bench: Workbench) -> tuple[str, frozenset[str]]:
        """Return the storage's class name and its capabilities."""
        return type(bench.storage).__name__, frozenset(bench.storage.capabilities)
