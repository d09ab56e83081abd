"""The public names, and how each of them is told."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Iterator

from tools.reference import signatures
from tools.reference.definitions import (
    Definition,
    Function,
    find,
    functions,
    is_marked,
    module_doc,
    public_names,
    values,
)
from tools.reference.groups import FIXTURES, KITS
from tools.reference.markdown import code, items, prose
from tools.reference.members import Member, members

REACHED = {
    "Broker.queues": ("broker.operations.queues", "Queues"),
    "Broker.streams": ("broker.operations.streams", "Streams"),
    "Broker.turns": ("broker.turn", "Turns"),
}
"""Classes that have no public name, because nobody makes one of them: each broker has one."""


def public() -> dict[str, Definition]:
    """Return every public name with its definition, by how a page calls it."""
    found = {name: find(kit, name) for kit in KITS for name in public_names(kit)}
    found |= {name: find(*place) for name, place in REACHED.items()}
    return found


def fixtures() -> dict[str, Definition]:
    """Return the fixtures that the kit brings to pytest, by name."""
    found = functions(FIXTURES)
    return {one.name: one for one in found if is_marked(one.node, "pytest.fixture")}


def section(name: str, definition: Definition, known: Collection[str]) -> Iterator[str]:
    """Yield the pieces of what is told of a name, below its heading."""
    node = definition.node
    if isinstance(node, ast.ClassDef):
        # What nobody makes has no constructor to be told.
        yield code(
            f"class {node.name}" if name in REACHED else signatures.class_head(definition, known)
        )
        yield prose(definition.doc or "")
        yield from told(members(definition, known))
    elif isinstance(node, Function):
        yield code(signatures.function(node))
        yield prose(definition.doc or "")
    elif isinstance(node, ast.Module):
        yield prose(module_doc(definition.module))
        yield items(
            (signatures.assignment(value), value.doc or "") for value in values(definition.module)
        )
    else:
        yield code(signatures.assignment(definition))
        yield prose(definition.doc or "")


def told(found: Iterable[Member]) -> Iterator[str]:
    """Yield the pieces that tell what a class has: first what is read, then what is called."""
    having = list(found)
    yield items((signatures.value(one), one.doc or "") for one in having if one.is_value)
    for one in having:
        if not one.is_value:
            assert isinstance(one.node, Function)
            yield code(signatures.function(one.node, is_method=True))
            yield prose(one.doc or "")


def undocumented() -> Iterator[str]:
    """Yield what is public and has no docstring."""
    known = public()
    for name, definition in (known | fixtures()).items():
        if not definition.doc:
            yield name
        if isinstance(definition.node, ast.ClassDef):
            for member in members(definition, known):
                if not (member.doc or _is_told_above(member.name, definition, known)):
                    yield f"{name}.{member.name}"
        elif isinstance(definition.node, ast.Module):
            yield from (f"{name}.{one.name}" for one in values(definition.module) if not one.doc)


def _is_told_above(name: str, definition: Definition, known: Collection[str]) -> bool:
    """Tell whether a class has something from a base that tells what it is."""
    assert isinstance(definition.node, ast.ClassDef)
    bases = [base.id for base in definition.node.bases if isinstance(base, ast.Name)]
    for base in (find(definition.module, base) for base in bases if base in known):
        if any(one.name == name and one.doc for one in members(base, known)):
            return True
        if _is_told_above(name, base, known):
            return True
    return False
