"""Whether a plugin does something with each option that it offers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from importlib.metadata import entry_points
from types import SimpleNamespace, new_class
from typing import Any, get_args

import pluggy
from pydantic import BaseModel, ModelWrapValidatorHandler, model_validator

from broker.discovery import GROUP
from broker.hookimpls import implementations
from broker.hookspecs import PROJECT, hookimpl
from broker.testing.client import Client
from broker.testing.factory import BrokerFactory
from broker.wording import shown


async def assert_config_used(
    broker_factory: BrokerFactory,
    plugin: str,
    table: Mapping[str, Any] | None = None,
    *,
    plugins: Sequence[str] = (),
    exercise: Callable[[Client], Awaitable[object]] | None = None,
) -> None:
    """Fail if there is a field in the config of an installed plugin that nothing reads.

    A broker runs with the plugin, its table of the config, and `plugins` beside it, if any; then
    all is closed. `exercise` gets its client while it runs, for what is read only then. A field of
    a model within the config counts as read if it is of any of those there, so the table needs
    one. Validating and dumping a config read nothing: what they alone see does nothing.
    """
    __tracebackhide__ = True
    reading = _Reading(f"plugins.{plugin}")
    hooks = _hooks(plugin)
    schema = hooks["config_schema"]()
    hooks["config_schema"] = hookimpl(lambda: reading.watch(schema))
    config = {"plugins": {plugin: table or {}}}
    added = {plugin: SimpleNamespace(**hooks)}
    async with broker_factory(plugins, config=config, added=added) as client:
        if exercise is not None:
            await exercise(client)
    if unread := reading.unread(schema):
        raise AssertionError("\n".join(unread))


class _Reading:
    """What was read of a config: fields by their place, which is that of their model and a name."""

    def __init__(self, place: str) -> None:
        self._place = place
        self._models: set[str] = set()
        self._read: set[str] = set()

    def watch(self, schema: type[BaseModel]) -> type[BaseModel]:
        """Return a schema that takes the same, and whose models note what is read of them."""

        def note(_: Any, data: Any, validate: ModelWrapValidatorHandler[BaseModel]) -> BaseModel:
            return self._noting(validate(data), self._place)

        method: Any = classmethod(note)  # pydantic's types know it as a decorator only
        return _derived(schema, note=model_validator(mode="wrap")(method))

    def unread(self, schema: type[BaseModel]) -> list[str]:
        """Return a line for each field of a schema that was not read, and what to do about it."""
        return [
            f"{place}.{name}: nothing reads it; use it, remove it, or have `exercise` do what does"
            if place in self._models
            else f"{place}.{name}: this test's table has no such thing; give it one"
            for place, name in _fields(schema, self._place)
            if f"{place}.{name}" not in self._read
        ]

    def _noting(self, model: BaseModel, place: str) -> BaseModel:
        """Return a copy of a model, of its class but for what it notes."""
        self._models.add(place)
        kind, read = type(model), self._read

        def note(noting: BaseModel, name: str) -> Any:
            read.add(f"{place}.{name}")
            return object.__getattribute__(noting, name)

        copy = model.model_copy()
        for name, value in list(vars(copy).items()):
            vars(copy)[name] = self._inside(value, f"{place}.{name}")
        # A frozen model refuses it by another way.
        object.__setattr__(copy, "__class__", _derived(kind, __getattribute__=note))
        return copy

    def _inside(self, value: Any, place: str) -> Any:
        if isinstance(value, BaseModel):
            return self._noting(value, place)
        if isinstance(value, dict):
            return {key: self._inside(item, place) for key, item in value.items()}
        if type(value) in (list, tuple, set, frozenset):
            return type(value)(self._inside(item, place) for item in value)
        return value


def _derived(kind: type[BaseModel], **members: Any) -> type[BaseModel]:
    return new_class(kind.__name__, (kind,), exec_body=lambda body: body.update(members))


def _hooks(plugin: str) -> dict[str, Callable[..., Any]]:
    """Return the hook implementations of an installed plugin, by hook."""
    for entry in entry_points(group=GROUP, name=plugin):
        found = implementations(entry.load(), pluggy.PluginManager(PROJECT))
        hooks = {hook: function for hook, function, _ in found}
        if "config_schema" not in hooks:
            raise AssertionError(f"plugin {shown(plugin)} implements no hook config_schema")
        return hooks
    raise AssertionError(f"plugin {shown(plugin)} is not installed; pip install --editable .")


def _fields(
    schema: type[BaseModel], place: str, around: tuple[type, ...] = ()
) -> Iterator[tuple[str, str]]:
    """Yield place and name of each field of a schema, and of the schemas within it."""
    for name, field in schema.model_fields.items():
        yield place, name
        for inner in _schemas(field.annotation):
            if inner not in (*around, schema):
                yield from _fields(inner, f"{place}.{name}", (*around, schema))


def _schemas(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    else:
        for part in get_args(annotation):
            yield from _schemas(part)
