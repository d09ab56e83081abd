"""The fields of the schema: what of the broker's objects each tells, and how arguments are read."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from operator import attrgetter
from typing import Any

from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    get_named_type,
)

from broker_graphql.execution import Execution
from broker_graphql.schema import read_enum, write_enum

Resolver = Callable[[Execution, Any, Mapping[str, Any]], Awaitable[Any]]
"""Returns a field's value: of the source that its object is, with its arguments as clients name
them."""

Read = Callable[[Any], Any]

PATHS = {
    "Queue.id": "queue.id",
    "Queue.name": "queue.name",
    "Queue.version": "queue.version",
    "Queue.createdAt": "queue.created_at",
    "Queue.updatedAt": "queue.updated_at",
    "Queue.paused": "queue.policy.paused",
    "Queue.policy": "queue.policy",
    "Queue.messageCount": "counts.total",
    "Message.queueName": "queue",
    "Message.createdAt": "enqueued_at",
    "Delivery.leaseExpiresAt": "message.visible_at",
    "PublishedMessage.messageId": "id",
    "SettleResult.messageId": "id",
    "SettleResult.queueName": "queue",
    "Event.event": "kind",
    "Event.timestamp": "at",
    "PlainQueue.id": "queue.id",
    "PlainQueue.name": "queue.name",
    "PlainQueue.createdAt": "queue.created_at",
    "PlainQueue.updatedAt": "queue.updated_at",
    "PlainQueue.messageCount": "counts.total",
    "PlainMessage.queueName": "queue",
    "PlainMessage.status": "state",
    "PlainMessage.createdAt": "enqueued_at",
}
"""Where a field's value is in its source, if not in the attribute of the field's name."""

_CAPITAL = re.compile(r"(?<!^)([A-Z])")


def snake(name: str) -> str:
    """Return the broker's name for a name of the schema: lease_seconds for leaseSeconds."""
    return _CAPITAL.sub(r"_\1", name).lower()


def make_resolvers(
    schema: GraphQLSchema, resolvers: Mapping[str, Callable[..., Awaitable[Any]]]
) -> dict[str, Resolver]:
    """Return what resolves each field, by "Type.field": one of these resolvers, called with the
    execution, the source and the arguments under the broker's names; or its place in the source."""
    made: dict[str, Resolver] = {}
    for kind in schema.type_map.values():
        if not isinstance(kind, GraphQLObjectType) or kind.name.startswith("__"):
            continue
        for name, field in kind.fields.items():
            place = f"{kind.name}.{name}"
            if place in resolvers:
                made[place] = _called(resolvers[place], field)
            else:
                made[place] = _looked_up(PATHS.get(place, snake(name)), field)
    return made


def make_reader(arguments: Mapping[str, GraphQLArgument]) -> Callable[[Mapping[str, Any]], Any]:
    """Return what turns coerced arguments into keyword arguments of the broker's words."""
    return partial(_read_fields, {n: _reader(argument.type) for n, argument in arguments.items()})


def _called(resolve: Callable[..., Awaitable[Any]], field: GraphQLField) -> Resolver:
    read = make_reader(field.args)

    async def resolver(execution: Execution, source: Any, arguments: Mapping[str, Any]) -> Any:
        value = await resolve(execution, source, **read(arguments))
        return write_enum(value) if is_enum and value is not None else value

    is_enum = isinstance(get_named_type(field.type), GraphQLEnumType)
    return resolver


def _looked_up(path: str, field: GraphQLField) -> Resolver:
    look_up = attrgetter(path)
    is_enum = isinstance(get_named_type(field.type), GraphQLEnumType)

    async def resolver(_: Execution, source: Any, __: Mapping[str, Any]) -> Any:
        value = look_up(source)
        return write_enum(value) if is_enum and value is not None else value

    return resolver


def _reader(kind: GraphQLInputType) -> Read:
    if isinstance(kind, GraphQLNonNull):
        return _reader(kind.of_type)
    if isinstance(kind, GraphQLList):
        return partial(_read_list, _reader(kind.of_type))
    if isinstance(kind, GraphQLEnumType):
        return partial(_read_word, kind.name)
    if isinstance(kind, GraphQLInputObjectType):
        # Made when first used: input types may hold themselves.
        readers = {name: _reader(field.type) for name, field in kind.fields.items()}
        return partial(_read_fields, readers)
    return _as_it_is


def _as_it_is(value: Any) -> Any:
    return value


def _read_word(kind: str, name: str | None) -> str | None:
    return None if name is None else read_enum(kind, name)


def _read_list(read: Read, values: Any) -> Any:
    return None if values is None else [read(value) for value in values]


def _read_fields(readers: Mapping[str, Read], values: Mapping[str, Any] | None) -> Any:
    if values is None:
        return None
    return {snake(name): readers[name](value) for name, value in values.items()}
