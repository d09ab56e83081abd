"""Pinned versions and expected failures, as pytest reports them."""

import subprocess
import sys
import textwrap

import pytest

MODULE = """
from contextlib import nullcontext

import pytest
from broker.testing import Contract, lacks, needs, since


class Ground:
    async def __aenter__(self):
        return 2

    async def __aexit__(self, *error):
        pass


class Rules(Contract):
    def make_bench(self, tmp_path):
        return Ground()

    def subject(self, bench):
        return "Acme", frozenset()

    async def test_even(self, bench):
        assert bench % 2 == 0

    @needs("watch")
    async def test_watching(self, bench):
        pass

    @pytest.mark.parametrize("number", [1, 2])
    async def test_number(self, bench, number):
        assert bench == number


@since("1.1")
async def newer(self, bench):
    assert bench == 3


{body}
"""


def run(tmp_path, body, *options):
    """Run the rules as a class with this body has them; return what pytest prints."""
    module = tmp_path / "test_rules.py"
    module.write_text(MODULE.replace("{body}", textwrap.dedent(body)))
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rA", *options]
    return subprocess.run(
        [*command, "test_rules.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    ).stdout


def test_a_line_at_the_end_says_whether_a_class_keeps_its_contract(tmp_path):
    told = run(
        tmp_path,
        """
        class TestAcme(Rules):
            contract = "1.0"
            test_number = None

        class TestOther(Rules):
            pass
        """,
    )

    assert (
        "test_rules.py::TestAcme keeps contract 1.0: 1 passed, 1 skipped (watch undeclared)" in told
    )
    assert (
        "test_rules.py::TestOther breaks contract 1.0: "
        "1 failed, 2 passed, 1 skipped (watch undeclared)" in told
    )


def test_the_line_tells_what_was_skipped_for_a_capability_that_is_declared(tmp_path):
    told = run(
        tmp_path,
        """
        class TestAcme(Rules):
            test_number = None

            def subject(self, bench):
                return "Acme", frozenset({"search", "dedup"})

            @lacks("search")
            async def test_without_search(self, bench):
                pass

            @lacks("dedup")
            async def test_without_dedup(self, bench):
                pass

        class TestOther(Rules):
            test_number = test_watching = None

            def subject(self, bench):
                return "Other", frozenset({"search"})

            @lacks("search")
            async def test_without_search(self, bench):
                pass
        """,
    )

    assert "1 passed, 3 skipped (watch undeclared; dedup, search declared)" in told
    assert "TestOther keeps contract 1.0: 1 passed, 1 skipped (search declared)" in told


def test_the_line_counts_what_other_processes_ran(tmp_path):
    told = run(tmp_path, "class TestAcme(Rules):\n    test_number = None", "-n", "2")

    assert "TestAcme keeps contract 1.0: 1 passed, 1 skipped (watch undeclared)" in told


def test_the_line_leaves_out_what_was_deselected(tmp_path):
    told = run(tmp_path, "class TestAcme(Rules): pass", "-k", "test_watch or other")

    assert "TestAcme keeps contract 1.0: 1 skipped (watch undeclared)" in told


def test_an_expected_failure_may_fail_and_tells_its_reason(tmp_path):
    told = run(
        tmp_path,
        """
        class TestAcme(Rules):
            expected_failures = {"test_number[1]": "acme#12"}
        """,
    )

    assert "XFAIL test_rules.py::TestAcme::test_number[1] - acme#12" in told
    assert "TestAcme keeps contract 1.0: 2 passed, 1 skipped, 1 xfailed (watch" in told


def test_an_expected_failure_that_passes_fails(tmp_path):
    told = run(
        tmp_path,
        """
        class TestAcme(Rules):
            expected_failures = {"test_number": "acme#12"}
        """,
    )

    assert "FAILED test_rules.py::TestAcme::test_number[2] - [XPASS(strict)] acme#12" in told


def test_an_expected_failure_has_to_name_a_test():
    from broker.testing import StorageContract

    with pytest.raises(
        TypeError,
        match=r"^Acme.expected_failures: the contract has no "
        r'"test_an_empty_batch_is_nothin"; did you mean "test_an_empty_batch_is_nothing"\?$',
    ):

        class Acme(StorageContract):
            expected_failures = {"test_an_empty_batch_is_nothin": "acme#1"}


def test_a_contract_without_its_factory_is_an_error(tmp_path):
    printed = run(
        tmp_path,
        """
        class TestRules(Rules):
            pass

        class TestAcme(Contract):
            def make_bank(self, tmp_path):
                return Ground()

        class TestBase(Contract):
            __test__ = False
        """,
    )

    assert "TestAcme tests nothing yet: it does not define make_bench, subject\n" in printed
    assert "TestBase tests nothing" not in printed
    assert "1 error in" in printed


def test_what_a_newer_version_demands_is_reported_and_not_enforced(tmp_path, monkeypatch):
    newer = """
        from broker.testing import contract
        contract.VERSION = "1.1"

        class TestAcme(Rules):
            contract = "{version}"
            test_number = None
            test_newer = newer
        """

    pinned = run(tmp_path, newer.replace("{version}", "1.0"))
    assert (
        "XFAIL test_rules.py::TestAcme::test_newer - "
        "contract 1.1, newer than the 1.0 that this class pins" in pinned
    )
    assert "TestAcme keeps contract 1.0: 1 passed, 1 skipped, 1 xfailed" in pinned

    assert "FAILED test_rules.py::TestAcme::test_newer" in run(
        tmp_path, newer.replace("{version}", "1.1")
    )


@pytest.mark.parametrize("version", ["1.1", "one", 1.0, None])
def test_a_version_that_this_kit_does_not_know_is_refused(version):
    from broker.testing import StorageContract

    with pytest.raises(TypeError, match='Acme.contract: expected a version up to "1.0"'):

        class Acme(StorageContract):
            contract = version
