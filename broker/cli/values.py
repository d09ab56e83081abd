"""Kinds of values on the command line that are checked before anything is asked of a broker."""

from __future__ import annotations

import re
from typing import Any

import click
import msgspec
from msgspec import inspect

from broker.limits import MAX_INT64, QUEUE_NAME_PATTERN


class Value(click.ParamType):  # type: ignore[type-arg]  # a generic in newer versions only
    """Base of all of them."""


class FieldValue(Value):
    """What a field of a model takes, by its type; `none` is None where that is allowed."""

    def __init__(self, kind: Any) -> None:
        self._kind = kind
        described = inspect.type_info(kind)
        self._parts = described.types if isinstance(described, inspect.UnionType) else (described,)
        self.name = "|".join(dict.fromkeys(map(_word, self._parts)))
        self.limits = next(filter(None, map(_limits, self._parts)), "")

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> object:
        """Return what the field holds."""
        if value == "none" and "none" in self.name.split("|"):
            return None
        try:
            return msgspec.convert(value, self._kind, strict=False)
        except msgspec.ValidationError:
            expected = f"{self.name}, {self.limits}" if self.limits else self.name
            self.fail(f"expected {expected}; got {value!r}", param, ctx)


class QueueName(Value):
    """The name of a queue, which is safe to put into a path."""

    name = "queue"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name as it was given."""
        if not re.match(QUEUE_NAME_PATTERN, value):
            expected = "1 to 255 letters, digits, '.', '_', '-', of which the first two may begin"
            self.fail(f"expected {expected}; got {value!r}", param, ctx)
        return str(value)


class Header(Value):
    """A message header, written NAME=VALUE."""

    name = "name=value"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """Return name and value."""
        if isinstance(value, tuple):  # click converts what it converted before
            return value
        name, equals, content = value.partition("=")
        if not (name and equals):
            self.fail(f"expected NAME=VALUE; got {value!r}", param, ctx)
        return name, content


def _word(part: inspect.Type) -> str:
    if isinstance(part, inspect.LiteralType):
        return "|".join(map(str, part.values))
    if isinstance(part, inspect.BoolType):
        return "true|false"
    if isinstance(part, inspect.NoneType):
        return "none"
    return "NUMBER" if isinstance(part, inspect.IntType | inspect.FloatType) else "QUEUE"


def _limits(part: inspect.Type) -> str:
    if not isinstance(part, inspect.IntType | inspect.FloatType):
        return ""
    return f"{part.ge} or more" if part.le == MAX_INT64 else f"{part.ge} to {part.le}"
