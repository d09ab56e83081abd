"""What others build on, a line for each thing: `python -m tools.reference.surface` writes it down.

tests/unit/public_surface.txt is what it was when somebody last meant it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

import click
from pydantic import BaseModel

import broker
from broker.assembly import assemble
from broker.audience import EVENT_KINDS
from broker.cli import cli
from broker.config import (
    BrokerConfig,
    LogConfig,
    ServerConfig,
    TlsConfig,
    TracesConfig,
    make_config,
)
from broker.discovery import GROUP
from broker.ratelimit import ACTIVITIES
from broker.storage import CAPABILITIES
from tools.reference.definitions import ROOT, Function, is_marked
from tools.reference.hooks import arguments, hooks
from tools.reference.members import Member, constructor, members
from tools.reference.names import fixtures, public
from tools.reference.signatures import is_for_others

FILE = ROOT / "tests" / "unit" / "public_surface.txt"


def surface() -> list[str]:
    """Return the lines, sorted."""
    return sorted(
        {*_plugins(), *_names(), *_errors(), *_words(), *_options(), *_routes(), *_commands()}
    )


def _plugins() -> Iterator[str]:
    yield f"group {GROUP}"
    for name, hook in hooks().items():
        yield f"hook {name}({', '.join(arguments(hook))})"
    yield from (f"fixture {name}" for name in fixtures())


def _names() -> Iterator[str]:
    known = public()
    for name, definition in known.items():
        yield f"name {definition.module.partition('.')[0]} {name}"
        node = definition.node
        if isinstance(node, Function):
            yield f"call {name}{_called(node)}"
        elif isinstance(node, ast.ClassDef):
            init = constructor(node)
            if init is not None and is_for_others(init, definition.module, known):
                yield f"call {name}{_called(init, skip=1)}"
            for member in members(definition, known):
                yield from _member(name, member)


def _member(owner: str, member: Member) -> Iterator[str]:
    name = f"{owner}.{member.name}"
    if isinstance(member.node, Function) and not member.is_value:
        yield f"call {name}{_called(member.node, skip=1)}"
        if is_marked(member.node, "abstractmethod"):
            yield f"abstract {name}"
    elif isinstance(member.node, ast.AnnAssign) and member.node.value is None:
        yield f"value {name}, required" if member.type is None else f"value {name}"
    else:
        yield f"value {name}"


def _called(node: Function, *, skip: int = 0) -> str:
    """Return the names of the arguments; one with `=` behind it can be left out."""
    given = node.args
    optional = len(given.args) - len(given.defaults)
    shown = [
        f"{argument.arg}{'=' if index >= optional else ''}"
        for index, argument in enumerate(given.args)
    ][skip:]
    if given.vararg or given.kwonlyargs:
        shown.append(f"*{given.vararg.arg if given.vararg else ''}")
    shown += [
        f"{argument.arg}{'=' if default is not None else ''}"
        for argument, default in zip(given.kwonlyargs, given.kw_defaults, strict=True)
    ]
    if given.kwarg:
        shown.append(f"**{given.kwarg.arg}")
    return f"({', '.join(shown)})"


def _errors() -> Iterator[str]:
    for name in broker.__all__:
        kind = getattr(broker, name)
        if isinstance(kind, type) and issubclass(kind, broker.BrokerError):
            yield f"error {name} {kind.code} {kind.status}, exit code {kind.exit_code}"


def _words() -> Iterator[str]:
    yield from (f"capability {name}" for name in CAPABILITIES)
    yield from (f"event {name}" for name in EVENT_KINDS)
    yield from (f"activity {name}" for name in ACTIVITIES)


def _options() -> Iterator[str]:
    tables: dict[str, type[BaseModel]] = {
        "server": ServerConfig,
        "server.tls": TlsConfig,
        "broker": BrokerConfig,
        "log": LogConfig,
        "traces": TracesConfig,
    }
    for table, model in tables.items():
        for name, field in model.model_fields.items():
            yield f"option {table}.{name}" + (", required" if field.is_required() else "")


def _routes() -> Iterator[str]:
    assembly = assemble(make_config({"broker": {"anonymous": True}}))
    for _, transport in assembly.transports:
        yield from (f"route {route.method} {route.path}" for route in transport.routes())


def _commands() -> Iterator[str]:
    yield from _command("broker", cli)


def _command(path: str, command: click.Command) -> Iterator[str]:
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from _command(f"{path} {name}", found)
    else:
        arguments = [one for one in command.params if isinstance(one, click.Argument)]
        yield " ".join([f"command {path}", *(str(one.name).upper() for one in arguments)])
        for option in command.params:
            if isinstance(option, click.Option):
                yield f"command {path} {max(option.opts, key=len)}"


if __name__ == "__main__":
    FILE.write_text("\n".join(surface()) + "\n")
