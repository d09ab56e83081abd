"""What a schema allows at one place of a table, in words: read from its JSON Schema.

pydantic's own messages name one broken rule; an operator wants to know all that is allowed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from pydantic import BaseModel, ByteSize
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from broker.wording import KeyPath, quoted, shown

Node = dict[str, Any]

FORMATS = {
    "path": "a path",
    "file-path": "a path of an existing file",
    "directory-path": "a path of an existing directory",
    "duration": 'a duration (seconds, or ISO 8601 such as "PT30S")',
    "uri": "a URL",
    "date-time": "a date and time",
    "date": "a date",
    "time": "a time",
    "password": "a string",
}

ARRAYS = {"string": "strings", "integer": "integers", "number": "numbers", "object": "tables"}


class TolerantJsonSchema(GenerateJsonSchema):
    """Makes a JSON Schema of any model: what JSON Schema cannot say allows anything."""

    def handle_invalid_for_json_schema(
        self,
        schema: core_schema.CoreSchema,  # noqa: ARG002  # pydantic's signature
        error_info: str,  # noqa: ARG002  # pydantic's signature
    ) -> JsonSchemaValue:
        """Allow anything."""
        return {}

    def emit_warning(self, kind: Any, detail: str) -> None:
        """Say nothing: that a default has no JSON form is no concern of the operator."""


class Shape:
    """The alternatives that are allowed at one place."""

    def __init__(self, nodes: Sequence[Node], definitions: Node) -> None:
        self._definitions = definitions
        self._nodes = [plain for node in nodes for plain in self._plain(node)]

    @classmethod
    def of(cls, model: type[BaseModel]) -> Shape:
        """Return the shape of a whole model."""
        node = model.model_json_schema(schema_generator=TolerantJsonSchema)
        return cls([node], node.get("$defs", {}))

    def at(self, path: KeyPath) -> Shape:
        """Return the shape of what lies at a path inside."""
        shape = self
        for part in path:
            inside = [found for node in shape._nodes for found in _inside(node, part)]
            shape = Shape(inside, self._definitions)
        return shape

    @property
    def keys(self) -> list[str]:
        """The keys that a table may have here."""
        return [key for node in self._nodes for key in node.get("properties", {})]

    @property
    def choices(self) -> list[str]:
        """The texts of which one must stand here."""
        values = [value for node in self._nodes for value in node.get("enum", [])]
        return [value for value in values if isinstance(value, str)]

    @property
    def known(self) -> bool:
        """Whether the schema allows anything here at all."""
        return bool(self._nodes)

    @property
    def is_secret(self) -> bool:
        """Whether the value here must not be shown."""
        return any(node.get("writeOnly") for node in self._nodes)

    @property
    def is_bounded(self) -> bool:
        """Whether it is said how long a text here must be."""
        return any("minLength" in node for node in self._nodes)

    def has(self, keyword: str, value: object) -> bool:
        """Tell whether the words for it say this of what is here."""
        return any(node.get(keyword) == value for node in self._nodes)

    def __str__(self) -> str:
        """Say what is allowed, for example `an integer from 0 to 65535`; empty if unknown."""
        words = dict.fromkeys(filter(None, map(self._words, self._nodes)))
        return " or ".join(words)

    def _words(self, node: Node) -> str:
        if node.get("type") == "array":
            items = Shape([node.get("items", {})], self._definitions)
            kinds = {ARRAYS.get("" if "enum" in n else n.get("type", "")) for n in items._nodes}
            kind = kinds.pop() if len(kinds) == 1 else None
            words = f"an array of {kind}" if kind else "an array"
            return words + _length(node)
        return _words(node)

    def _plain(self, node: Node) -> Iterator[Node]:
        if "$ref" in node:
            yield from self._plain(self._definitions.get(node["$ref"].rpartition("/")[2], {}))
            return
        choices = node.get("anyOf") or node.get("oneOf") or node.get("allOf")
        if choices is None:
            yield node
            return
        for choice in choices:
            yield from self._plain(choice)


def _inside(node: Node, part: str | int) -> Iterator[Node]:
    if isinstance(part, int):
        first = node.get("prefixItems", [])
        found = first[part] if part < len(first) else node.get("items")
    else:
        found = node.get("properties", {}).get(part, node.get("additionalProperties"))
    if isinstance(found, dict):
        yield found


def _words(node: Node) -> str:
    if "const" in node:
        return shown(node["const"])
    if "enum" in node:
        return f"one of {quoted(node['enum'])}"
    write = WORDS.get(node.get("type", ""))
    return write(node) if write else ""


def _length(node: Node) -> str:
    least, most = node.get("minItems", 0), node.get("maxItems")
    if most is not None:
        return f", {least} to {most} of them" if least < most else f", {most} of them"
    if least > 1:
        return f", at least {least} of them"
    return ", not empty" if least else ""


def _range(node: Node) -> str:
    if "minimum" in node and "maximum" in node:
        return f" from {node['minimum']} to {node['maximum']}"
    bounds = {
        "minimum": "of at least",
        "exclusiveMinimum": "greater than",
        "maximum": "of at most",
        "exclusiveMaximum": "less than",
        "multipleOf": "that is a multiple of",
    }
    return " and".join(f" {word} {node[key]}" for key, word in bounds.items() if key in node)


def _string(node: Node) -> str:
    form = node.get("format")
    words = FORMATS.get(form, f"a string ({form})") if form else "a string"
    least, most = node.get("minLength", 0), node.get("maxLength")
    if most is not None:
        words += f" of {least} to {most} characters"
    elif least:
        words += f" of at least {least} character" + ("s" if least > 1 else "")
    if node.get("pattern") == ByteSize.byte_string_pattern:
        return 'a size such as "64MiB"'
    if "pattern" in node:
        words += f" that matches {node['pattern']}"
    return words


WORDS: dict[str, Callable[[Node], str]] = {
    "integer": lambda node: f"an integer{_range(node)}",
    "number": lambda node: f"a number{_range(node)}",
    "boolean": lambda _node: "true or false",
    "string": _string,
    "object": lambda _node: "a table",
}
