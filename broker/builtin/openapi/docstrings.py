"""What is written below the fields of structs; Python forgets it, so the sources are read."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator, Sequence
from itertools import pairwise

import msgspec

Texts = dict[str, str]


class Docstrings:
    """Reads each module once. Where a module came without its source, nothing is known."""

    def __init__(self) -> None:
        self._modules: dict[str, dict[str, Texts]] = {}

    def of(self, struct: type[msgspec.Struct]) -> Texts:
        """Return what is written below a struct's fields, by the names that clients know."""
        texts: Texts = {}
        for kind in reversed(struct.__mro__):
            texts |= self._read(kind.__module__).get(kind.__qualname__, {})
        names = zip(struct.__struct_fields__, struct.__struct_encode_fields__, strict=True)
        return {known: texts[name] for name, known in names if name in texts}

    def _read(self, module: str) -> dict[str, Texts]:
        if module not in self._modules:
            self._modules[module] = dict(_classes(_parse(module)))
        return self._modules[module]


def _parse(module: str) -> Sequence[ast.stmt]:
    try:
        return ast.parse(inspect.getsource(sys.modules[module])).body
    except (KeyError, OSError, TypeError, SyntaxError):
        return ()


def _classes(body: Sequence[ast.stmt], inside: str = "") -> Iterator[tuple[str, Texts]]:
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield inside + node.name, dict(_fields(node.body))
            yield from _classes(node.body, f"{inside}{node.name}.")


def _fields(body: Sequence[ast.stmt]) -> Iterator[tuple[str, str]]:
    for field, below in pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            match below:
                case ast.Expr(value=ast.Constant(value=str(text))):
                    yield field.target.id, " ".join(text.split())
