"""docs/writing-a-storage.md: its plugin keeps the contracts, and what it says of lengths is so."""

import ast
import io
import os
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import get_args

import pytest
from pages import blocks
from tables import table

from broker import Capability, OrderedStore, Storage
from broker.storage import CAPABILITIES
from broker.testing import BrokerFactory

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/writing-a-storage.md").read_text()
FILES = {
    match[1]: block
    for block in blocks(PAGE, "python")
    if (match := re.match(r"# (\S+\.py)\n", block))
}
SLOW = "not crowd and not race and not any_program"


def code_lines(source: str) -> int:
    """Count lines that are neither blank nor comments nor docstrings."""
    nothing = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in nothing and token.type != tokenize.ENDMARKER:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            if ast.get_docstring(node) is not None:
                text = node.body[0]
                lines.difference_update(range(text.lineno, text.end_lineno + 1))
    return len(lines)


def code_lines_of(folder: Path) -> int:
    return sum(code_lines(path.read_text()) for path in folder.rglob("*.py"))


def test_the_lengths_are_those_of_the_code() -> None:
    lmdb = ROOT / "examples/storage_lmdb/broker_storage_lmdb"
    memory = ROOT / "broker/builtin/memory"
    package = sum(code_lines(text) for name, text in FILES.items() if name.startswith("broker_"))
    heading = "Measured, in lines of code without blank ones, comments and docstrings:"
    assert [row[1:] for row in table(PAGE, heading)] == [
        [str(code_lines((lmdb / "storage.py").read_text())), str(code_lines_of(lmdb))],
        [str(code_lines(FILES["broker_acme/store.py"])), str(package)],
        [str(code_lines((memory / "storage.py").read_text())), str(code_lines_of(memory))],
    ]


@pytest.fixture
def acme(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The package of the page, imported, and forgotten after the test."""
    monkeypatch.syspath_prepend(str(project))
    yield import_module("broker_acme")
    for name in [name for name in sys.modules if name.partition(".")[0] == "broker_acme"]:
        del sys.modules[name]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return tmp_path


def run(project: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", *arguments]
    done = subprocess.run(
        command,
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(project)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.timeout(600)  # a run of some five hundred tests
def test_the_plugin_of_the_page_keeps_its_contracts(project: Path) -> None:
    printed = run(project, "tests", "-k", SLOW)
    for contract in ("TestAcmeStore", "TestAcmeStorage"):
        assert f"tests/test_contract.py::{contract} keeps contract 1.0: " in printed


async def test_the_plugin_of_the_page_is_assembled(
    project: Path, acme: ModuleType, broker_factory: BrokerFactory
) -> None:
    async with broker_factory(added={"acme": acme}, config={"plugins": {"acme": {}}}) as client:
        await client.create_queue("orders")
        await client.publish("orders", "hello")
        [message] = await client.lease("orders")

    assert message["content"] == "hello"
    assert [path.name for path in (project / "data").iterdir()] == ["acme.db"]


def test_what_may_be_overridden_is_a_contract(project: Path) -> None:
    [block] = [block for block in blocks(PAGE, "python") if "race_messages" in block]
    imports = "import shutil\n" + FILES["tests/test_contract.py"].partition("class ")[0]
    (project / "tests/test_contract.py").write_text(imports + block)
    run(project, "tests", "-k", "crash or lease_order")


def test_a_store_that_forgets_declares_less() -> None:
    [block] = [block for block in blocks(PAGE, "python") if "ForgetfulStorage" in block]
    names = {}
    exec("from broker import OrderedStorage\n" + block, names)
    assert names["ForgetfulStorage"].capabilities == {"search", "priority", "groups", "dedup"}


def test_every_capability_and_operation_is_explained() -> None:
    capabilities = [row[0] for row in table(PAGE, "### Capabilities")]
    assert sorted(re.findall(r"`(\w+)`", " ".join(capabilities))) == sorted(get_args(Capability))
    operations = [row[0].strip("`") for row in table(PAGE, "### Operation by operation")]
    own = [name for name in vars(Storage) if name[0] != "_" and callable(getattr(Storage, name))]
    assert operations == [name for name in own if name != "describe"]
    assert {name for name in CAPABILITIES} == set(get_args(Capability))


def test_every_method_of_an_ordered_store_is_explained() -> None:
    own = [name for name in vars(OrderedStore) if name[0] != "_" and name != "describe"]
    section = PAGE.partition("## On an ordered store")[2].partition("## From scratch")[0]
    explained = set(re.findall(r"\*\*`(\w+)`", section))
    assert explained | {"close"} == set(own)
