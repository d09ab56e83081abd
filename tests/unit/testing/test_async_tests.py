"""Async tests, with and without the kit's `client`: alone, and beside another plugin for such."""

import re
import subprocess
import sys

import pytest

TESTS = """
from unittest import mock

import pytest
from broker.testing import Contract
from hypothesis import HealthCheck, given, settings, strategies as st


async def test_without_a_fixture():
    pass


@mock.patch("os.getcwd")
async def test_arguments_that_are_no_fixtures(getcwd, tmp_path, number=3):
    assert (getcwd(), number) == (getcwd.return_value, 3)


async def test_a_function(client):
    await client.create_queue("q")


class TestMethods:
    async def test_a_method(self, client, clock):
        await client.create_queue("q")

    @pytest.mark.parametrize("name", ["one", "two"])
    async def test_a_run(self, client, recorder, name):
        await client.create_queue(name)
        assert recorder.told(name) == ["queue.created"]


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(["one", "two"]))
@pytest.mark.parametrize("kind", ["ack", "reject"])
async def test_that_draws(broker_factory, kind, name):
    async with broker_factory() as client:
        await client.create_queue(name)


@given(drawn=st.integers())
@pytest.mark.xfail(raises=AssertionError, strict=True, reason="some number is 100 or more")
async def test_that_draws_what_fails(drawn):
    assert drawn < 100


@pytest.mark.theirs
async def test_that_another_plugin_claims(client):
    await client.create_queue("q")


def test_a_plain_one(broker_factory):
    assert not hasattr(broker_factory, "url")


class Rules(Contract):
    def make_bench(self, tmp_path):
        raise NotImplementedError

    def subject(self, bench):
        raise NotImplementedError

    def test_left_out(self):
        raise NotImplementedError


class TestRules(Rules):
    pass
"""

MARKER = """
def pytest_configure(config):
    config.addinivalue_line("markers", "theirs: is run by another plugin")
"""

OTHER_PLUGIN = """
import asyncio
import inspect
import pytest


@pytest.hookimpl(tryfirst=FIRST)
def pytest_pyfunc_call(pyfuncitem):
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    if MARKED and not pyfuncitem.get_closest_marker("theirs"):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    fixtures = {name: pyfuncitem.funcargs[name] for name in names}
    with asyncio.Runner() as runner:
        runner.run(pyfuncitem.obj(**fixtures))
    print(f"{pyfuncitem.name} was claimed")
    return True
"""

ASYNC = [
    "test_without_a_fixture",
    "test_arguments_that_are_no_fixtures",
    "test_a_function",
    "test_a_method",
    "test_a_run[one]",
    "test_a_run[two]",
    "test_that_another_plugin_claims",
]


def run(tmp_path, conftest):
    (tmp_path / "test_it.py").write_text(TESTS)
    (tmp_path / "conftest.py").write_text(MARKER + conftest)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-W", "error", "-rP"]
    return subprocess.run(
        [*command, "-k", "not left_out"], cwd=tmp_path, capture_output=True, text=True, check=False
    ).stdout


@pytest.mark.parametrize(
    ("beside", "claimed"),
    [
        ("", []),
        (OTHER_PLUGIN.replace("FIRST", "True").replace("MARKED", "False"), ASYNC),
        (OTHER_PLUGIN.replace("FIRST", "False").replace("MARKED", "True"), ASYNC[-1:]),
    ],
    ids=["alone", "beside one for all", "beside one for its marker"],
)
def test_every_async_test_is_run_unless_another_plugin_claims_it(tmp_path, beside, claimed):
    said = run(tmp_path, beside)

    assert "10 passed, 1 deselected, 1 xfailed" in said
    assert re.findall(r"^(\S+) was claimed$", said, re.MULTILINE) == claimed
