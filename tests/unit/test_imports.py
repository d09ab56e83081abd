"""Plugins use public names only: what import-linter cannot see, name by name."""

import ast
from pathlib import Path

import broker

ROOT = Path(__file__).parents[2]
KITS = {"broker.commands", "broker.testing"}
PLUGIN_FILES = sorted(
    path
    for folder in (ROOT / "broker" / "builtin", *(ROOT / "plugins").glob("*/broker_*"))
    for path in folder.rglob("*.py")
)


def is_private(module):
    own = module.startswith("broker.builtin")
    return module.startswith("broker.") and not own and module not in KITS


def private_imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if is_private(alias.name))
        elif isinstance(node, ast.ImportFrom) and not node.level:
            module = node.module or ""
            if module == "broker":
                yield from (alias.name for alias in node.names if alias.name not in broker.__all__)
            elif is_private(module):
                yield module


def test_plugins_import_public_names_only():
    found = {str(path.relative_to(ROOT)): list(private_imports(path)) for path in PLUGIN_FILES}

    assert {path: names for path, names in found.items() if names} == {}
    assert len(PLUGIN_FILES) > 4


def test_the_list_of_public_names_is_sorted_and_complete():
    constants_first = sorted(set(broker.__all__), key=lambda name: (not name.isupper(), name))
    assert list(broker.__all__) == constants_first
    assert [name for name in broker.__all__ if not hasattr(broker, name)] == []
