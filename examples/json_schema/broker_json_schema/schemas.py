"""Reading schemas from files, with nothing left to find out when messages come."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from broker import ConfigError
from jsonschema.exceptions import SchemaError
from referencing import Registry, Resource
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from broker_json_schema.dialect import DIALECT, FORMATS, VALIDATOR
from broker_json_schema.wording import pointer, shortened


def read_schema(file: Path) -> Any:
    """Return what checks values by the schema of a file.

    Raises ConfigError, one line with the file and the place in it, for whatever is wrong with it,
    or with those that it refers to.
    """
    folder = _Folder(file.parent)
    schema = folder.known[file.name] = folder.read(file.name)
    retrieving: Registry[Any] = Registry(retrieve=folder.retrieve)  # type: ignore[call-arg]  # its class is made by what mypy does not know
    try:
        # More are found while those are looked at that refer to them.
        for path, resource in folder.found:
            resolver = retrieving.resolver_with_root(resource)
            _check(path, resource.contents, resource, resolver)
    except ConfigError as error:
        if folder.broken is None:
            raise
        raise folder.broken from error
    registry: Registry[Any] = Registry().with_resources(folder.known.items())
    validator = VALIDATOR(schema.contents, registry=registry, format_checker=FORMATS)
    try:
        next(validator.iter_errors(None), None)
    except RecursionError as error:
        raise ConfigError(f"{file}: it refers to itself without an end") from error
    return validator


class _Folder:
    """The folder of a schema, the only place where others are looked for."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.found: list[tuple[Path, Resource[Any]]] = []
        self.known: dict[str, Resource[Any]] = {}
        self.broken: ConfigError | None = None
        """What is wrong with a file that another refers to."""

    def read(self, name: str) -> Resource[Any]:
        """Return what a file says; raises ConfigError."""
        path = self._path / name
        try:
            schema = json.loads(path.read_bytes())
        except OSError as error:
            raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"{path}: is no JSON: {shortened(str(error))}") from error
        _check_form(path, schema)
        resource = DRAFT202012.create_resource(schema)
        self.found.append((path, resource))
        return resource

    def retrieve(self, uri: str) -> Resource[Any]:
        """Return what a reference names: a file by its name, or by the `$id` that ends with it;
        raises LookupError."""
        if uri in self.known:
            return self.known[uri]
        name = uri.rpartition("/")[2]
        if not (self._path / name).is_file():
            raise LookupError(uri)
        try:
            resource = self.read(name)
        except ConfigError as error:
            self.broken = error
            raise
        if uri not in (name, resource.id()):
            raise LookupError(uri)
        self.known[uri] = resource
        return resource


def _check_form(path: Path, schema: Any) -> None:
    dialect = schema.get("$schema", DIALECT) if isinstance(schema, dict) else DIALECT
    if dialect != DIALECT:
        raise ConfigError(f'{path}#/$schema: expected "{DIALECT}", the only one that is understood')
    try:
        VALIDATOR.check_schema(schema)
    except SchemaError as error:
        place = pointer(error.absolute_path)
        raise ConfigError(f"{path}#{place}: {shortened(error.message)}") from error
    except RecursionError as error:
        raise ConfigError(f"{path}: is nested too deep") from error


def _check(path: Path, document: Any, part: Resource[Any], resolver: Any) -> None:
    """Raise ConfigError for what the meta-schema lets pass and nobody could keep, in all parts."""
    schema = part.contents
    if isinstance(schema, Mapping):
        for keyword, problem in _problems(schema, resolver):
            place = pointer([*(_way_to(schema, document) or ()), keyword])
            raise ConfigError(f"{path}#{place}: {shortened(json.dumps(schema[keyword]))} {problem}")
    for inner in part.subresources():
        _check(path, document, inner, resolver.in_subresource(inner))


def _problems(schema: Mapping[str, Any], resolver: Any) -> Iterator[tuple[str, str]]:
    known = sorted(FORMATS.checkers)
    if (named := schema.get("format")) is not None and named not in known:
        yield "format", f"is checked by nobody; expected one of {', '.join(known)}"
    for keyword in ("$ref", "$dynamicRef"):
        if keyword in schema:
            try:
                resolver.lookup(schema[keyword])
            except Unresolvable:
                yield keyword, "is neither in this file nor another file of its folder"


def _way_to(part: Any, whole: Any) -> list[str | int] | None:
    """Return the keys and indexes that lead to a part of a document."""
    if whole is part:
        return []
    items = enumerate(whole) if isinstance(whole, list) else ()
    for key, value in whole.items() if isinstance(whole, Mapping) else items:
        way = _way_to(part, value)
        if way is not None:
            return [key, *way]
    return None
