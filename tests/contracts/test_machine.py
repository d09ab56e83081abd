"""The state machine itself: what it finds, and the program that it tells."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest
from hypothesis import Phase, settings

from broker import Capability, Storage
from broker.builtin.memory import MemoryStorage
from broker.testing import ManualClock, StorageContract
from broker.testing.storage import programs
from contracts.planted.publishing import ForgetsDedupKeysAtAck
from contracts.planted.telling import TellsNothingOfWhatALeaseEnded

# To find a bug may take some hundred programs.
pytestmark = pytest.mark.timeout(300)

PROGRAMS = "test_any_program_is_answered_as_the_memory_storage_answers_it"


class KeptStorage(MemoryStorage):
    """Durable: after each operation it writes everything down."""

    capabilities: ClassVar[frozenset[Capability]] = MemoryStorage.capabilities | {"durable"}

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    async def open(self) -> None:
        await super().open()
        if self._path.exists():
            self._data = pickle.loads(self._path.read_bytes())

    def keep(self) -> None:
        self._path.write_bytes(pickle.dumps(self._data))


def kept_after(name: str) -> Any:
    async def operation(self: KeptStorage, *arguments: Any, **options: Any) -> Any:
        result = await getattr(MemoryStorage, name)(self, *arguments, **options)
        self.keep()
        return result

    return operation


for name in ("put_queue", "drop_queue", "publish", "lease", "settle", "bulk", "maintain"):
    setattr(KeptStorage, name, kept_after(name))


class CountsAtClose(KeptStorage):
    """Writes its totals down when it is closed, and not before."""

    def keep(self) -> None:
        totals = {name: queue.totals for name, queue in self._data.queues.items()}
        for queue in self._data.queues.values():
            queue.totals = type(queue.totals)()
        super().keep()
        for name, queue in self._data.queues.items():
            queue.totals = totals[name]

    async def close(self) -> None:
        if self._is_open:
            super().keep()
        await super().close()


class MaintainsLate(MemoryStorage):
    """Comes a millisecond late to all that time brings."""

    async def maintain(self, *, now: int, limit: int) -> Any:
        return await super().maintain(now=now - 1, limit=limit)


class LastFirst(MemoryStorage):
    """Leases the newest first."""

    async def lease(self, queue: str, **options: Any) -> Any:
        result = await super().lease(queue, **options)
        return msgspec.structs.replace(result, leases=result.leases[::-1])


def run(tmp_path: Path, make: Callable[[Path], Storage]) -> None:
    class Contract(StorageContract):
        def make_storage(self, tmp_path: Path, clock: ManualClock) -> Storage:
            return make(tmp_path)

    getattr(Contract(), PROGRAMS)(tmp_path=tmp_path)


def program_against(tmp_path: Path, make: Callable[[Path], Storage]) -> str:
    """Return the program that fails, as pytest reports it."""
    with pytest.raises(AssertionError) as failed:
        run(tmp_path, make)
    return "\n".join(failed.value.__notes__)


@pytest.fixture
def unshrunk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Be content with the first program that fails: to make it small takes long."""
    found = settings(programs.budget(), phases=[Phase.generate], max_examples=2000)
    monkeypatch.setattr(programs, "budget", lambda: found)


def test_the_program_is_told_and_small(tmp_path: Path) -> None:
    assert program_against(tmp_path, lambda _: LastFirst()) == (
        "Failing test case: <state machine>\n"
        "state = Machine()\n"
        "(leases_0,) = state.begin(a={}, b={})\n"
        "state.lease_all(queue='b')\n"
        "state.teardown()"
    )


def test_a_continuous_integration_is_told_no_more_than_others() -> None:
    before = settings.get_current_profile_name()
    settings.load_profile("ci")
    try:
        assert not programs.budget().print_blob
    finally:
        settings.load_profile(before)


@pytest.mark.usefixtures("unshrunk")
def test_a_dedup_key_that_is_lost_at_ack_is_found(tmp_path: Path) -> None:
    program = program_against(tmp_path, lambda _: ForgetsDedupKeysAtAck())
    assert "'dedup_key': 'k'" in program


@pytest.mark.usefixtures("unshrunk")
def test_a_count_that_a_crash_takes_is_found(tmp_path: Path) -> None:
    program = program_against(tmp_path, lambda folder: CountsAtClose(folder / "kept"))
    *_, last, _ = program.splitlines()
    assert last == "state.begin_again(how='crash')"


@pytest.mark.usefixtures("unshrunk")
def test_maintenance_that_comes_a_millisecond_late_is_found(tmp_path: Path) -> None:
    program = program_against(tmp_path, lambda _: MaintainsLate())
    *_, last, _ = program.splitlines()
    assert last.startswith("state.maintain(")


@pytest.mark.usefixtures("unshrunk")
def test_an_end_of_which_nobody_tells_is_found(tmp_path: Path) -> None:
    program = program_against(tmp_path, lambda _: TellsNothingOfWhatALeaseEnded())
    assert "state.begin(" in program


def test_a_durable_storage_that_keeps_everything_in_a_file_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROKER_MACHINE_EXAMPLES", "20")
    run(tmp_path, lambda folder: KeptStorage(folder / "kept"))


def test_the_same_programs_are_tried_each_time_unless_more_are_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("BROKER_MACHINE_EXAMPLES", raising=False)
    assert programs.budget().derandomize
    monkeypatch.setenv("BROKER_MACHINE_EXAMPLES", "5000")
    monkeypatch.setenv("BROKER_MACHINE_STEPS", "100")
    budget = programs.budget()
    assert not budget.derandomize
    assert (budget.max_examples, budget.stateful_step_count) == (5000, 100)
