"""Binding a table of the config to a pydantic model, with every problem in one line of its own."""

from __future__ import annotations

import copy
import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from broker.config.layers import Layers
from broker.config.shapes import Shape
from broker.wording import MASK, KeyPath, described, did_you_mean, dotted, quoted, shown

M = TypeVar("M", bound=BaseModel)

ARRAY_WANTED = frozenset({"list_type", "tuple_type", "set_type", "frozen_set_type"})
JSON_WANTED = frozenset(
    {
        "int_type",
        "float_type",
        "time_delta_parsing",
        "literal_error",
        "enum",
        "dict_type",
        "model_type",
    }
)
OWN_MESSAGES = frozenset({"value_error", "assertion_error"})
BOUNDS = {
    "greater_than": ("gt", "exclusiveMinimum", "more than {}"),
    "greater_than_equal": ("ge", "minimum", "at least {}"),
    "less_than": ("lt", "exclusiveMaximum", "less than {}"),
    "less_than_equal": ("le", "maximum", "at most {}"),
    "multiple_of": ("multiple_of", "multipleOf", "a multiple of {}"),
}
"""Where pydantic and JSON Schema have the bound that a value is beyond, and how it is told."""

TAG_ERRORS = frozenset({"union_tag_invalid", "union_tag_not_found"})


class Problem(msgspec.Struct, frozen=True):
    """One thing that is wrong with the config; its string is the line that is printed."""

    path: KeyPath
    text: str

    def __str__(self) -> str:
        return f"{dotted(self.path)}: {self.text}"


def bind(
    schema: type[M], table: Mapping[str, Any], *, at: KeyPath, layers: Layers
) -> tuple[M | None, list[Problem]]:
    """Validate the table that stands at a path of the config; return the model, or the problems.

    Unknown keys are refused whatever the schema says of them. A string from the environment or
    from a secret is read as what the schema wants there: a number, true or false, an array
    (JSON, or parts between commas), a table (JSON).
    """
    data = copy.deepcopy(dict(table))
    problems = [
        Problem(path, reason)
        for path, reason in layers.unresolved.items()
        if path[: len(at)] == at and path[len(at)] in table
    ]
    problems += _open_secrets(schema, at, layers)
    errors: list[ErrorDetails] = []
    bound = None
    while bound is None:
        try:
            bound = schema.model_validate(data, extra="forbid")
        except ValidationError as error:
            errors = error.errors()
            if not _read_texts(data, errors, at, layers):
                break
        # A plugin's validator is foreign code; whatever it raises is that plugin's problem.
        except Exception as error:  # noqa: BLE001  # see above
            return None, [*problems, Problem(at, f"its schema failed: {described(error)}")]
    if bound is None:
        explain = _Explanation(Shape.of(schema), data, at=at, layers=layers)
        problems += explain.problems(errors)
    return (None, problems) if problems else (bound, [])


def _open_secrets(schema: type[BaseModel], at: KeyPath, layers: Layers) -> Iterator[Problem]:
    """Yield a problem for each secret in a file that everybody on this machine can read."""
    found = layers.open_to_all(at)
    if not found:
        return
    shape = Shape.of(schema)
    for path, file in found.items():
        if shape.at(path[len(at) :]).is_secret:
            yield Problem(
                path,
                "a secret, in a file that everybody on this machine can read; "
                f'"chmod 600 {shlex.quote(str(file))}", or refer to it by '
                '{ env = "NAME" } or { file = "path" }',
            )


class _Explanation:
    """Turns pydantic's errors about one table into problems."""

    def __init__(self, shape: Shape, data: dict[str, Any], *, at: KeyPath, layers: Layers) -> None:
        self._shape = shape
        self._data = data
        self._at = at
        self._layers = layers

    def problems(self, errors: Sequence[ErrorDetails]) -> Iterator[Problem]:
        """Yield a problem for each place, once, though every member of a union reports it."""
        places = [_place(self._data, error) for error in errors]
        told: dict[KeyPath, ErrorDetails] = {}
        for place, error in zip(places, errors, strict=True):
            # A member of a union that came further knows better what is wrong.
            deeper = any(len(p) > len(place) and p[: len(place)] == place for p in places)
            further = _is_of_the_right_type(error) and not _is_of_the_right_type(
                told.get(place, error)
            )
            if not deeper and (further or place not in told):
                told[place] = error
        for place, error in told.items():
            path = (*self._at, *place)
            if path not in self._layers.unresolved:
                yield Problem(path, self._reason(place, error))

    def _reason(self, place: KeyPath, error: ErrorDetails) -> str:
        source = self._layers.source((*self._at, *place))
        if error["type"] == "extra_forbidden":
            return self._unknown(place) + source
        allowed = str(self._shape.at(place))
        if error["type"] == "missing":
            return f"missing; expected {allowed}" if allowed else "missing"
        if error["type"] in OWN_MESSAGES:
            reason = str(error["ctx"]["error"]) or error["msg"]
        elif not allowed or error["type"] in TAG_ERRORS or _is_foreign(error):
            reason = error["msg"]
        else:
            reason = f"expected {self._unsaid_bound(place, error) or allowed}"
        received = self._masked(_value(self._data, place), place)
        hint = ""
        if error["type"] == "literal_error" and isinstance(received, str):
            hint = did_you_mean(received, self._shape.at(place).choices)
        return f"{' '.join(reason.split())}; got {_received(received)}{source}{hint}"

    def _unsaid_bound(self, place: KeyPath, error: ErrorDetails) -> str | None:
        """Return the bound that a value is beyond, if the JSON Schema has no word for it there."""
        if error["type"] not in BOUNDS:
            return None
        name, keyword, words = BOUNDS[error["type"]]
        bound = error["ctx"][name]
        return None if self._shape.at(place).has(keyword, bound) else words.format(bound)

    def _unknown(self, place: KeyPath) -> str:
        known = self._shape.at(place[:-1]).keys
        hint = did_you_mean(str(place[-1]), known)
        return "unknown key" + (hint or (f"; known are {quoted(known)}" if known else ""))

    def _masked(self, value: Any, place: KeyPath, *, inside: bool = False) -> Any:
        shape = self._shape.at(place)
        # What stands where the schema knows of nothing could be a secret in the wrong place.
        unknown = inside and not shape.known
        if unknown or shape.is_secret or self._layers.origin((*self._at, *place)).secret:
            return MASK
        if isinstance(value, dict):
            return {k: self._masked(v, (*place, k), inside=True) for k, v in value.items()}
        if isinstance(value, list):
            return [self._masked(v, (*place, i), inside=True) for i, v in enumerate(value)]
        return value


def _place(data: Any, error: ErrorDetails) -> KeyPath:
    """Return where in the data an error is: its `loc` also names members of unions."""
    place: KeyPath = ()
    for part in error["loc"]:
        try:
            data = data[part]
        except (TypeError, LookupError):
            continue
        place = (*place, part)
    return (*place, error["loc"][-1]) if error["type"] == "missing" else place


def _is_of_the_right_type(error: ErrorDetails) -> bool:
    return error["type"] in BOUNDS or error["type"] in OWN_MESSAGES


def _is_foreign(error: ErrorDetails) -> bool:
    # What pydantic finds has a page in its manual, but for this one.
    return "url" not in error and error["type"] != "path_type"


def _value(data: Any, place: KeyPath) -> Any:
    for part in place:
        data = data[part]
    return data


def _read_texts(
    data: dict[str, Any], errors: Sequence[ErrorDetails], at: KeyPath, layers: Layers
) -> bool:
    """Replace texts by what the schema wanted there; tell whether any was."""
    changed = False
    for error in errors:
        place = _place(data, error)
        if not place or not layers.origin((*at, *place)).text:
            continue
        text = _value(data, place)
        value = _read(text, error["type"]) if isinstance(text, str) else text
        if not isinstance(value, str):
            changed = changed or value is not text
            _value(data, place[:-1])[place[-1]] = value
    return changed


def _read(text: str, wanted: str) -> Any:
    try:
        if wanted in ARRAY_WANTED and not text.lstrip().startswith("["):
            return [part.strip() for part in text.split(",") if part.strip()]
        if wanted == "bool_type":
            return TypeAdapter(bool).validate_strings(text)
        if wanted in ARRAY_WANTED or wanted in JSON_WANTED:
            return json.loads(text)
    except ValueError:
        pass
    return text


def _received(value: Any) -> str:
    return MASK if value == MASK else shown(value)
