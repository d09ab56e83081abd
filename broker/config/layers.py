"""Values in layers: a later layer wins, and every value remembers where it came from."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from broker.wording import KeyPath, shown


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Where a value came from, when it does not simply stand in the file."""

    label: str = ""
    text: bool = False
    """It arrived as a string, so a schema that wants a number or an array must read it."""
    secret: bool = False
    """It must never be shown."""
    file: Path | None = None
    """The file that it is all of: one that a reference names, or one of a directory of secrets."""
    open_file: Path | None = None
    """The file that it stands in, if everybody on this machine can read that."""


LITERAL = Origin()


class Layers:
    """Tables laid over one another.

    A value may be a reference, `{ env = "NAME" }` or `{ file = "path" }` (relative to
    `directory`). It is resolved when its layer is added; one that cannot be is in `unresolved`
    with the reason, unless a later layer replaces it.
    """

    def __init__(self, directory: Path = Path()) -> None:
        self.values: dict[str, Any] = {}
        self.unresolved: dict[KeyPath, str] = {}
        self._origins: dict[KeyPath, Origin] = {}
        self._directory = directory

    def add(
        self, table: Mapping[str, Any], origin: Callable[[KeyPath], Origin] | None = None
    ) -> None:
        """Lay a table over what is there. None means "not given" and replaces nothing."""
        self._merge(self.values, table, (), origin or (lambda _path: LITERAL))

    def origin(self, path: KeyPath) -> Origin:
        """Tell where the value at a path, or the value that it is a part of, came from."""
        for end in range(len(path), 0, -1):
            if path[:end] in self._origins:
                return self._origins[path[:end]]
        return LITERAL

    def source(self, path: KeyPath) -> str:
        """Return ` (environment variable X)` for what does not stand in the file, or nothing."""
        found = self.origin(path).label
        if not found:
            below = (o.label for p, o in self._origins.items() if p[: len(path)] == path)
            found = next(filter(None, below), "")
        return f" ({found})" if found else ""

    def stands_in_file(self, path: KeyPath) -> bool:
        """Tell whether a value was given, and neither by a reference nor in another way."""
        value: Any = self.values
        for part in path:
            try:
                value = value[part]
            except (LookupError, TypeError):
                return False
        found = self.origin(path)
        return not found.label and not found.secret

    def open_to_all(self, table: KeyPath) -> dict[KeyPath, Path]:
        """Return what of a table everybody on this machine can read, and in which file."""
        return {
            path: origin.open_file
            for path, origin in self._origins.items()
            if origin.open_file is not None and path[: len(table)] == table
        }

    def secret_files(self) -> list[Path]:
        """Return the files that hold one secret each, and nothing else."""
        return [origin.file for origin in self._origins.values() if origin.file is not None]

    def _merge(
        self,
        below: dict[str, Any],
        above: Mapping[str, Any],
        path: KeyPath,
        origin: Callable[[KeyPath], Origin],
    ) -> None:
        for key, value in above.items():
            here = (*path, key)
            if value is None:
                continue
            if (
                isinstance(value, Mapping)
                and isinstance(below.get(key), dict)
                and not _is_reference(value, here)
            ):
                self._merge(below[key], value, here, origin)
            else:
                self._forget(here)
                below[key] = self._resolve(value, here, origin)

    def _forget(self, path: KeyPath) -> None:
        for known in (self._origins, self.unresolved):
            for stale in [p for p in known if p[: len(path)] == path]:
                del known[stale]

    def _resolve(self, value: Any, path: KeyPath, origin: Callable[[KeyPath], Origin]) -> Any:
        if _is_reference(value, path):
            return self._follow(value, path)
        if isinstance(value, Mapping):
            return {k: self._resolve(v, (*path, k), origin) for k, v in value.items()}
        if isinstance(value, list | tuple):
            return [self._resolve(v, (*path, i), origin) for i, v in enumerate(value)]
        found = origin(path)
        if found != LITERAL:
            self._origins[path] = found
        return value

    def _follow(self, reference: Mapping[str, str], path: KeyPath) -> str | None:
        file = None
        if "env" in reference:
            name = reference["env"]
            label = f"environment variable {name}"
            text = os.environ.get(name)
            if text is None:
                self.unresolved[path] = f"environment variable {shown(name)} is not set"
        else:
            label = f"file {reference['file']}"
            text = self._read(reference["file"], path)
            file = self._directory / reference["file"] if text is not None else None
        self._origins[path] = Origin(label=label, text=True, secret=True, file=file)
        return text

    def _read(self, name: str, path: KeyPath) -> str | None:
        try:
            text = (self._directory / name).read_bytes().decode()
        except OSError as error:
            self.unresolved[path] = f"cannot read file {shown(name)}: {error.strerror}"
        except UnicodeDecodeError:
            self.unresolved[path] = f"cannot read file {shown(name)}: it is not UTF-8"
        except ValueError:
            self.unresolved[path] = f"cannot read file {shown(name)}: no file has such a name"
        else:
            return text.removesuffix("\n").removesuffix("\r")
        return None


def _is_reference(value: Any, path: KeyPath) -> bool:
    # A section and a plugin's table are no values: `[plugins.x]` may have the one key "file".
    depth = 3 if path[0] == "plugins" else 2
    return (
        len(path) >= depth
        and isinstance(value, Mapping)
        and len(value) == 1
        and all(key in ("env", "file") and isinstance(name, str) for key, name in value.items())
    )
