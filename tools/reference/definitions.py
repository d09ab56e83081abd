"""What a name is, read from the sources: nothing is imported, so nothing has to be installed."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple, TypeAlias

ROOT = Path(__file__).parents[2]

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
Node: TypeAlias = Function | ast.ClassDef | ast.Assign | ast.AnnAssign | ast.Module


class Definition(NamedTuple):
    """Where a name gets its meaning, and what is said of it there."""

    name: str
    module: str
    node: Node
    doc: str | None


class UnknownName(LookupError):
    """A module that does not define a name, and imports it from no other module of the core."""


def find(module: str, name: str) -> Definition:
    """Return the definition of a name that a module has, wherever it imports it from."""
    for node, doc in _documented(_parse(module).body):
        if isinstance(node, Node) and _defines(node, name):
            return Definition(name, module, node, doc)
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return _imported(node, alias.name)
    raise UnknownName(f"{module} does not define {name}")


def is_own(module: str, name: str) -> bool:
    """Tell whether a name that a module has is defined in the core."""
    try:
        return bool(find(module, name))
    except UnknownName:
        return False


def names_in(annotation: ast.expr | None) -> set[str]:
    """Return the names in a type."""
    nodes = [] if annotation is None else ast.walk(annotation)
    return {node.id for node in nodes if isinstance(node, ast.Name)}


def public_names(module: str) -> tuple[str, ...]:
    """Return a module's `__all__`."""
    node = find(module, "__all__").node
    assert isinstance(node, ast.Assign)
    return tuple(ast.literal_eval(node.value))


def module_doc(module: str) -> str:
    """Return the docstring of a module."""
    return ast.get_docstring(_parse(module)) or ""


def functions(module: str) -> Iterator[Definition]:
    """Yield the functions that a module defines, in their order."""
    for node, doc in _documented(_parse(module).body):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield Definition(node.name, module, node, doc)


def values(module: str) -> Iterator[Definition]:
    """Yield the public constants that a module defines, in their order."""
    for node, doc in _documented(_parse(module).body):
        if isinstance(node, ast.Assign) and isinstance(target := node.targets[0], ast.Name):
            yield Definition(target.id, module, node, doc)


def documented(body: list[ast.stmt]) -> Iterator[tuple[Node, str | None]]:
    """Yield what statements define, each with its docstring: a value has one below it."""
    for node, doc in _documented(body):
        if isinstance(node, Node):
            yield node, doc


def _documented(body: list[ast.stmt]) -> Iterator[tuple[ast.stmt, str | None]]:
    for node, below in zip(body, [*body[1:], None], strict=True):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            yield from _documented(node.body)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node, ast.get_docstring(node)
        else:
            yield node, _text(below)


def _text(node: ast.stmt | None) -> str | None:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        text = node.value.value
        if isinstance(text, str):
            return ast.get_docstring(ast.Module([node], []))
    return None


def _defines(node: Node, name: str) -> bool:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return node.name == name and not is_overload(node)
    if isinstance(node, ast.Module):
        return False
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return any(isinstance(target, ast.Name) and target.id == name for target in targets)


def is_overload(node: Function | ast.ClassDef) -> bool:
    """Tell whether a function is one of the types of another."""
    return is_marked(node, "overload")


def is_marked(node: Node, *names: str) -> bool:
    """Tell whether it is a function or a class that one of these decorates."""
    decorators = node.decorator_list if isinstance(node, Function | ast.ClassDef) else []
    return any(ast.unparse(decorator) in names for decorator in decorators)


def _imported(node: ast.ImportFrom, name: str) -> Definition:
    module = node.module or ""
    whole = f"{module}.{name}"
    if _path(whole) is not None:
        return Definition(name, whole, _parse(whole), module_doc(whole))
    if _path(module) is None:
        raise UnknownName(f"{name} comes from {module}, which is no module of the core")
    return find(module, name)


def _path(module: str) -> Path | None:
    stem = ROOT.joinpath(*module.split("."))
    for path in (stem.with_suffix(".py"), stem / "__init__.py"):
        if path.is_file():
            return path
    return None


@cache
def _parse(module: str) -> ast.Module:
    path = _path(module)
    if path is None:
        raise UnknownName(f"there is no module {module}")
    return ast.parse(path.read_text())
