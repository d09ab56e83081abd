"""The package that `broker plugin new` writes: the smallest whole plugin of each role.

The templates are in the folders beside this module: `every` for all roles, then one a role. Each
file `<path>.tmpl` there becomes `<path>` of the package, its `$words` filled in by string.Template;
the folder `package` becomes the plugin's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.metadata import version
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path, PurePosixPath
from string import Template

from broker.scaffold.naming import Naming
from broker.scaffold.roles import ROLES

_SUFFIX = ".tmpl"


def write_package(naming: Naming, role: str, directory: Path) -> Path:
    """Write the package of a plugin into a new folder of the directory, and return that folder.

    Raises FileExistsError if there is something of that name already.
    """
    texts = render(naming, role)
    folder = directory / naming.distribution
    folder.mkdir()
    for path, text in texts.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    return folder


def render(naming: Naming, role: str) -> dict[PurePosixPath, str]:
    """Return the text of each file of the package, by its path in there."""
    words = _words(naming, role)
    root = files(__name__)
    found = {}
    for templates in (root / "every", root / role):
        for path, template in _templates(templates, PurePosixPath()):
            named = "/".join(words.get(part, part) for part in path.parts)
            text = template.read_text(encoding="utf-8")
            found[PurePosixPath(named)] = Template(text).substitute(words)
    return found


def _words(naming: Naming, role: str) -> Mapping[str, str]:
    about = ROLES[role]
    names = {"plugin": naming.plugin}
    return {
        **names,
        "distribution": naming.distribution,
        "package": naming.package,
        "Prefix": naming.prefix,
        "role": role,
        "kind": role.replace("-", " "),
        "summary": about.summary,
        "table": Template(about.table).substitute(names),
        "use": Template(about.use).substitute(names),
        "options": about.options,
        "Base": about.base,
        "core": fitting_versions(version("replika-broker")),
    }


def fitting_versions(made_with: str) -> str:
    """Return the versions of the core that a plugin made with this one runs on, for pip.

    Before 1.0 a minor release may break it, from then on only a major one.
    """
    major, minor = map(int, made_with.split(".")[:2])
    end = f"{major + 1}" if major else f"0.{minor + 1}"
    return f">={major}.{minor},<{end}"


def _templates(
    folder: Traversable, at: PurePosixPath
) -> Iterator[tuple[PurePosixPath, Traversable]]:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            yield from _templates(entry, at / entry.name)
        elif entry.name.endswith(_SUFFIX):
            yield at / entry.name.removesuffix(_SUFFIX), entry
