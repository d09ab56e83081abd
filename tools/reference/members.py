"""What a class has that others may use: fields, attributes, properties and methods."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from typing import NamedTuple, TypeAlias

from tools.reference.definitions import (
    Definition,
    Function,
    Node,
    UnknownName,
    documented,
    find,
    is_marked,
    is_overload,
)

Value: TypeAlias = ast.Assign | ast.AnnAssign


class Member(NamedTuple):
    """One thing that a class has, and what is said of it."""

    name: str
    node: Function | Value
    doc: str | None
    type: ast.expr | None = None
    """That of an attribute; a field has it in its node, and an own default."""

    @property
    def is_value(self) -> bool:
        """Whether it is read and not called: a field, an attribute, a property."""
        if isinstance(self.node, Value):
            return True
        return is_marked(self.node, "property", "cached_property")


def members(definition: Definition, public: Collection[str]) -> Iterator[Member]:
    """Yield what a class has, with what it has from bases that are not public themselves.

    Tests of a contract are left out: they are what pytest runs, and nothing that authors use.
    """
    node = definition.node
    assert isinstance(node, ast.ClassDef)
    seen = set()
    for member in _own(node):
        seen.add(member.name)
        yield member
    for base in private_bases(definition, public):
        for member in members(base, public):
            if member.name not in seen:
                seen.add(member.name)
                yield member


def constructor(node: ast.ClassDef) -> Function | None:
    """Return the `__init__` of a class, if it has one of its own."""
    found = (s for s in node.body if isinstance(s, ast.FunctionDef) and s.name == "__init__")
    return next(found, None)


def private_bases(definition: Definition, public: Collection[str]) -> Iterator[Definition]:
    """Yield the bases of a class that are the core's and not public."""
    assert isinstance(definition.node, ast.ClassDef)
    for base in definition.node.bases:
        if isinstance(base, ast.Name) and base.id not in public:
            try:
                found = find(definition.module, base.id)
            except UnknownName:
                continue
            if isinstance(found.node, ast.ClassDef):
                yield found


def _own(node: ast.ClassDef) -> Iterator[Member]:
    for statement, doc in documented(node.body):
        name = _name(statement)
        if isinstance(statement, Function) and statement.name == "__init__":
            yield from _attributes(statement)
        elif name is not None and _is_told(name, doc):
            assert isinstance(statement, Function | Value)
            if not (isinstance(statement, Function) and is_overload(statement)):
                yield Member(name, statement, doc)


def _is_told(name: str, doc: str | None) -> bool:
    """Tell whether others use it by this name, or by what Python has for it, such as a call."""
    if name.startswith("__"):
        return name == "__call__" or doc is not None
    return not name.startswith(("_", "test_"))


def _attributes(init: Function) -> Iterator[Member]:
    for statement, doc in documented(init.body):
        name = _name(statement, owner="self")
        if name is not None and not name.startswith("_"):
            assert isinstance(statement, Value)
            yield Member(name, statement, doc, _type(statement, init))


def _type(statement: Value, init: Function) -> ast.expr | None:
    """Return the type of an attribute, which may stand at the argument that it is."""
    if isinstance(statement, ast.AnnAssign):
        return statement.annotation
    given = {argument.arg: argument for argument in [*init.args.args, *init.args.kwonlyargs]}
    value = statement.value
    return given[value.id].annotation if isinstance(value, ast.Name) and value.id in given else None


def _name(node: Node, *, owner: str | None = None) -> str | None:
    if isinstance(node, Function):
        return node.name if owner is None else None
    if isinstance(node, ast.Assign):
        [target, *_] = node.targets
    elif isinstance(node, ast.AnnAssign):
        target = node.target
    else:
        return None
    if isinstance(target, ast.Attribute):
        return target.attr if ast.unparse(target.value) == owner else None
    return target.id if isinstance(target, ast.Name) and owner is None else None
