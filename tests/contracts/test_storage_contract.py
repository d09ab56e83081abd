"""The contract of storages itself: what it skips, what it finds, how it tells."""

import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import ClassVar, get_args

import pytest

from broker import BrokerError, Capability, Queue, QueueSpec, Storage
from broker.builtin.memory import MemoryStorage
from broker.testing import ManualClock, StorageContract
from contracts.test_modest import ModestStorage

OPTIONAL = {"durable", "shared", "watch", "search", "priority", "groups", "dedup"}

LIFO_TEST_MODULE = """
import msgspec

from broker.builtin.memory import MemoryStorage
from broker.testing import StorageContract


class LifoStorage(MemoryStorage):
    async def lease(self, queue, **options):
        result = await super().lease(queue, **options)
        return msgspec.structs.replace(result, leases=result.leases[::-1])


class TestLifoStorage(StorageContract):
    def make_storage(self, tmp_path, clock):
        return LifoStorage()
"""


def contract_of(storage: type[Storage]) -> StorageContract:
    class Contract(StorageContract):
        def make_storage(self, tmp_path: Path, clock: ManualClock) -> Storage:
            return storage()

    return Contract()


def marked_with(mark: str) -> dict[str, tuple[str, ...]]:
    tests = {name: getattr(StorageContract, name) for name in dir(StorageContract)}
    return {
        name: getattr(test, mark)
        for name, test in tests.items()
        if name.startswith("test_") and hasattr(test, mark)
    }


class SilentStorage(MemoryStorage):
    """Can everything that memory can, and declares nothing: its flags lie."""

    capabilities: ClassVar[frozenset[Capability]] = frozenset()


def test_every_optional_capability_has_tests_that_need_it() -> None:
    needed = {name for names in marked_with("_contract_needs").values() for name in names}
    assert needed == OPTIONAL


@pytest.mark.parametrize("name", sorted(marked_with("_contract_needs")))
def test_a_storage_that_declares_nothing_skips_with_a_reason(tmp_path: Path, name: str) -> None:
    test = getattr(contract_of(SilentStorage), name)
    with pytest.raises(pytest.skip.Exception) as skipped:
        test(tmp_path=tmp_path)
    first, *_ = marked_with("_contract_needs")[name]
    assert str(skipped.value) == f'SilentStorage does not declare the capability "{first}"'


class SharingSilently(SilentStorage):
    """One store for all who are made of the same class."""

    def __init__(self) -> None:
        super().__init__()
        self._data = vars(type(self)).get("data") or self._data
        type(self).data = self._data


class KeepsQueuesAlone(SilentStorage):
    """What it keeps beyond its end is a part."""

    async def open(self) -> None:
        await super().open()
        for spec in vars(type(self)).get("kept", ()):
            await super().put_queue(spec, expect=None, now=0)

    async def put_queue(self, spec: QueueSpec, *, expect: int | None, now: int) -> Queue:
        type(self).kept = [spec]
        return await super().put_queue(spec, expect=expect, now=now)


class BoastfulStorage(ModestStorage):
    """Can nothing beyond the mandatory, and declares everything."""

    capabilities: ClassVar[frozenset[Capability]] = frozenset(get_args(Capability))


class WatchedSilently(SilentStorage):
    async def watch(self) -> AsyncIterator[str]:
        yield "q"


UNDECLARED: dict[str, tuple[type[Storage], str]] = {
    "dedup": (SilentStorage, "test_an_undeclared_dedup_key_has_no_effect"),
    "groups": (SilentStorage, "test_an_undeclared_group_has_no_effect"),
    "priority": (SilentStorage, "test_an_undeclared_priority_has_no_effect"),
    "search": (SilentStorage, "test_an_undeclared_search_is_refused"),
    "shared": (SharingSilently, "test_a_second_storage_is_locked_out_or_has_data_of_its_own"),
    "durable": (KeepsQueuesAlone, "test_what_is_not_durable_is_kept_whole_or_not_at_all"),
    "watch": (WatchedSilently, "test_an_undeclared_watch_is_not_implemented"),
}
"""For each capability who half has it and does not declare it, and which test finds that."""

DECLARED: dict[str, str] = {
    "dedup": "test_a_duplicate_answers_the_first_id_and_counts_nothing",
    "groups": "test_only_the_head_of_a_group_is_leased",
    "priority": "test_a_higher_priority_goes_first",
    "search": "test_messages_are_chosen_by_their_text",
    "shared": "test_two_storages_share_their_messages",
    "durable": "test_everything_is_there_after_reopening",
    "watch": "test_watch_tells_of_a_queue_with_new_work",
}
"""For each capability which test finds that it is declared and not there."""


def test_every_capability_is_kept_honest_both_ways() -> None:
    assert UNDECLARED.keys() == DECLARED.keys() == OPTIONAL
    assert {name for names in marked_with("_contract_lacks").values() for name in names} == OPTIONAL


@pytest.mark.parametrize("capability", sorted(OPTIONAL))
def test_a_storage_that_does_not_say_what_it_half_can_fails(
    tmp_path: Path, capability: str
) -> None:
    liar, name = UNDECLARED[capability]
    test = getattr(contract_of(type(liar.__name__, (liar,), {})), name)
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        test(tmp_path=tmp_path)


@pytest.mark.parametrize("capability", sorted(OPTIONAL))
def test_a_storage_that_declares_what_it_cannot_fails(tmp_path: Path, capability: str) -> None:
    test = getattr(contract_of(BoastfulStorage), DECLARED[capability])
    with pytest.raises((AssertionError, BrokerError, NotImplementedError)):
        test(tmp_path=tmp_path)


def test_a_failure_names_its_test_and_explains_its_assertion(tmp_path: Path) -> None:
    module = tmp_path / "test_lifo.py"
    module.write_text(LIFO_TEST_MODULE)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-k", "test_lease_order"]
    done = subprocess.run(
        [*command, str(module)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout + done.stderr
    failed = "FAILED test_lifo.py::TestLifoStorage::test_lease_order_is_the_order_of_publishing"
    assert failed in done.stdout
    # Without rewriting, pytest would not know what was compared.
    assert "At index 0 diff: 7 != 1" in done.stdout


def test_a_contract_without_a_storage_says_what_is_missing() -> None:
    class Forgetful(StorageContract):
        pass

    with pytest.raises(TypeError, match="make_storage"):
        Forgetful()


def test_importing_the_broker_imports_no_test_tools() -> None:
    program = "import broker, sys; sys.exit('pytest' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
