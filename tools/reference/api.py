"""docs/api.md: every public name, with what it is made of."""

from __future__ import annotations

from collections.abc import Iterator

import broker
from tools.reference import signatures
from tools.reference.definitions import Definition
from tools.reference.groups import GROUPS, Group, group_of
from tools.reference.hooks import PROVIDERS
from tools.reference.markdown import NOTE, anchor, code, page, prose, table
from tools.reference.names import fixtures, public, section

INTRO = """\
A plugin imports `broker`, `broker.commands` and `broker.testing`, and nothing else of the core:
what is not on this page may change in any release. [Compatibility](compatibility.md) says what may
change of what is. Importing `broker` is light: no web framework, no config library, no database."""


def write() -> str:
    """Return the page."""
    return page(["# API", NOTE, INTRO, "\n".join(_contents()), *_groups()])


def grouped() -> dict[Group | None, dict[str, Definition]]:
    """Return the public names of each group, in the order of their modules, then by name."""
    found: dict[Group | None, dict[str, Definition]] = {group: {} for group in GROUPS}
    for name, definition in public().items():
        found.setdefault(group_of(definition.module), {})[name] = definition
    return {group: dict(sorted(names.items(), key=_place)) for group, names in found.items()}


def _place(named: tuple[str, Definition]) -> tuple[int, str]:
    name, definition = named
    group = group_of(definition.module)
    modules = group.modules if group else ()
    places = [index for index, module in enumerate(modules) if definition.module.startswith(module)]
    return (max(places, default=0), name.lower())


def _contents() -> Iterator[str]:
    for group, names in grouped().items():
        if group is not None:
            links = ", ".join(f"[`{name}`](#{anchor(name)})" for name in names)
            yield f"- [{group.heading}](#{anchor(group.heading)}): {links}"


def _groups() -> Iterator[str]:
    known = public()
    for group, names in grouped().items():
        if group is None:
            continue
        yield f"## {group.heading}"
        yield group.intro
        if group.heading == "Errors":
            yield _errors(names)
        for name, definition in names.items():
            yield f"### `{name}`"
            if name in PROVIDERS:
                yield code(signatures.class_head(definition, known))
                yield prose(definition.doc or "")
                yield f"Its methods: [{PROVIDERS[name]}](hooks.md#{PROVIDERS[name]})."
            else:
                yield from section(name, definition, known)
        if group.heading == "The kit":
            yield from _fixtures()


def _errors(names: dict[str, Definition]) -> str:
    rows = []
    for name in names:
        kind = getattr(broker, name)
        if issubclass(kind, broker.BrokerError):
            link = f"[`{name}`](#{anchor(name)})"
            status = "" if issubclass(kind, broker.StartupError) else str(kind.status)
            rows.append((link, f"`{kind.code}`", status, str(kind.exit_code)))
    return table(["error", "code", "status", "exit code"], rows)


def _fixtures() -> Iterator[str]:
    for name, definition in fixtures().items():
        yield f"### fixture `{name}`"
        yield from section(name, definition, ())
