"""Signatures as code, in lines that a page has room for."""

from __future__ import annotations

import ast
from collections.abc import Collection

from tools.reference.definitions import Definition, Function, is_own, names_in
from tools.reference.members import Member, constructor

WIDTH = 88

KNOWN_BASES = frozenset({"ABC", "AssertionError", "Exception", "Protocol", "msgspec.Struct"})
"""Bases that tell something, though they are not the core's."""

KNOWN_OPTIONS = frozenset({"frozen", "kw_only"})
"""What tells how a struct is made, and whether it can be changed."""


def source(node: ast.AST) -> str:
    """Return code as this project writes it: with double quotes."""
    text = ast.unparse(node)
    return text if '"' in text else text.replace("'", '"')


def function(node: Function, *, is_method: bool = False, name: str | None = None) -> str:
    """Return the head of a function, without `self`; what says how it is called stands before."""
    arguments = _arguments(node, skip_first=is_method and not _is_static(node))
    keyword = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
    returns = f" -> {source(node.returns)}" if node.returns and name is None else ""
    head = f"{keyword} {name or node.name}"
    if name is not None:
        head = name
    decorators = [
        f"@{text}\n"
        for text in map(source, node.decorator_list)
        if text in {"abstractmethod", "classmethod", "asynccontextmanager", "pytest.fixture"}
    ]
    return "".join(decorators) + _broken(head, arguments, returns)


def class_head(definition: Definition, public: Collection[str]) -> str:
    """Return how a class begins, and how an object of it is made."""
    node = definition.node
    assert isinstance(node, ast.ClassDef)
    bases = [text for text in map(source, node.bases) if text in public or text in KNOWN_BASES]
    options = [f"{option.arg}={source(option.value)}" for option in node.keywords]
    shown = [*bases, *(option for option in options if option.partition("=")[0] in KNOWN_OPTIONS)]
    head = f"class {node.name}" + (f"({', '.join(shown)})" if shown else "")
    init = constructor(node)
    if init is None or not is_for_others(init, definition.module, public):
        return head
    return f"{head}\n\n{function(init, is_method=True, name=node.name)}"


def is_for_others(init: Function, module: str, public: Collection[str]) -> bool:
    """Tell whether a constructor takes anything, and nothing that is the core's own."""
    arguments = [*init.args.args[1:], *init.args.kwonlyargs]
    names = {name for argument in arguments for name in names_in(argument.annotation)}
    return bool(arguments) and not any(is_own(module, name) for name in names - {*public})


def value(member: Member) -> str:
    """Return a field, an attribute or a property with its type and, if it is one, its default."""
    node = member.node
    if isinstance(node, Function):
        return _typed(member.name, node.returns)
    if member.type is not None:
        return _typed(member.name, member.type)
    if isinstance(node, ast.AnnAssign):
        default = "" if node.value is None else f" = {_default(node.value)}"
        return _typed(member.name, node.annotation) + default
    if isinstance(node.value, ast.Call):
        return _typed(member.name, node.value.func)
    return f"{member.name} = {source(node.value)}"


def _typed(name: str, kind: ast.expr | None) -> str:
    return name if kind is None else f"{name}: {source(kind)}"


def assignment(definition: Definition) -> str:
    """Return a constant or a name of a type, in as many lines as it takes."""
    node = definition.node
    assert isinstance(node, ast.Assign | ast.AnnAssign)
    kind = f": {source(node.annotation)}" if isinstance(node, ast.AnnAssign) else ""
    assert node.value is not None
    text = f"{definition.name}{kind} = {source(node.value)}"
    if len(text) <= WIDTH:
        return text
    if isinstance(node.value, ast.Subscript) and isinstance(node.value.slice, ast.Tuple):
        items = [source(item) for item in node.value.slice.elts]
        return f"{definition.name} = {source(node.value.value)}[\n" + _lines(items) + "]"
    return f"{definition.name}{kind}" if kind else definition.name


def _arguments(node: Function, *, skip_first: bool) -> list[str]:
    given = node.args
    plain = [*given.posonlyargs, *given.args]
    defaults = [None] * (len(plain) - len(given.defaults)) + list(given.defaults)
    shown = [_argument(*pair) for pair in zip(plain, defaults, strict=True)][int(skip_first) :]
    if given.vararg is not None:
        shown.append(f"*{_argument(given.vararg, None)}")
    elif given.kwonlyargs:
        shown.append("*")
    shown += [_argument(*pair) for pair in zip(given.kwonlyargs, given.kw_defaults, strict=True)]
    if given.kwarg is not None:
        shown.append(f"**{_argument(given.kwarg, None)}")
    return shown


def _argument(node: ast.arg, default: ast.expr | None) -> str:
    text = node.arg if node.annotation is None else f"{node.arg}: {source(node.annotation)}"
    if default is None:
        return text
    return f"{text}{' = ' if node.annotation else '='}{source(default)}"


def _broken(head: str, arguments: list[str], returns: str) -> str:
    line = f"{head}({', '.join(arguments)}){returns}"
    return line if len(line) <= WIDTH else f"{head}(\n{_lines(arguments)}){returns}"


def _lines(items: list[str]) -> str:
    return "".join(f"    {item},\n" for item in items)


def _default(node: ast.expr) -> str:
    """Return a default, and not how msgspec is told of it."""
    if isinstance(node, ast.Call) and source(node.func) == "msgspec.field":
        [given] = node.keywords
        text = source(given.value)
        return f"{text}()" if given.arg == "default_factory" else text
    return source(node)


def _is_static(node: Function) -> bool:
    return any(source(decorator) == "staticmethod" for decorator in node.decorator_list)
