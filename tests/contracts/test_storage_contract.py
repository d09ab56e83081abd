"""The contract of storages itself: what it skips, what it finds, how it tells."""

import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import pytest

from broker import Capability, Storage
from broker.builtin.memory import MemoryStorage
from broker.testing import ManualClock, StorageContract

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


@pytest.mark.parametrize(
    "name",
    [
        "test_an_undeclared_dedup_key_has_no_effect",
        "test_an_undeclared_group_has_no_effect",
        "test_an_undeclared_priority_has_no_effect",
        "test_an_undeclared_search_is_refused",
    ],
)
def test_a_storage_whose_flags_lie_fails(tmp_path: Path, name: str) -> None:
    test = getattr(contract_of(SilentStorage), name)
    with pytest.raises((AssertionError, pytest.fail.Exception)):
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
