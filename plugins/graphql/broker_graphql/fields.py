"""The fields of the schema: what of the broker's objects each tells."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from inspect import iscoroutinefunction
from operator import attrgetter
from types import SimpleNamespace
from typing import Any

import msgspec
from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLSchema,
    SchemaMetaFieldDef,
    TypeMetaFieldDef,
    get_named_type,
)

from broker_graphql.schema import snake

Resolver = Callable[..., Any]
"""Returns a field's value: of the execution, the source that its object is, and its arguments
under the broker's names. It is a coroutine function if something has to be waited for."""

Write = Callable[[Any], Any]


class Field(msgspec.Struct, frozen=True):
    """A field, and how its value is found."""

    definition: GraphQLField
    resolve: Resolver
    write: Write | None
    """Makes of that value what the schema calls it."""
    waits: bool
    """Whether it is waited for."""
    waits_inside: bool
    """Whether something in its value is, however deep."""
    waits_beside: bool
    """Whether it is, or something in the same object."""


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


def make_fields(schema: GraphQLSchema, resolvers: Mapping[str, Resolver]) -> dict[str, Field]:
    """Return every field by "Type.field": resolved by one of these, or looked up in its source."""
    waiting = _find_waiting(schema, resolvers)
    found: dict[str, Field] = {}
    for place, definition in _walk(schema):
        resolve = resolvers.get(place) or _resolver(schema, place, definition)
        found[place] = Field(
            definition,
            resolve,
            _writer(definition.type),
            waits=iscoroutinefunction(resolve),
            waits_inside=get_named_type(definition.type).name in waiting,
            waits_beside=place.partition(".")[0] in waiting,
        )
    return found


def _walk(schema: GraphQLSchema) -> Iterator[tuple[str, GraphQLField]]:
    yield "Query.__schema", SchemaMetaFieldDef
    yield "Query.__type", TypeMetaFieldDef
    for kind in _objects(schema):
        for name, definition in kind.fields.items():
            yield f"{kind.name}.{name}", definition


def _objects(schema: GraphQLSchema) -> list[GraphQLObjectType]:
    return [kind for kind in schema.type_map.values() if isinstance(kind, GraphQLObjectType)]


def _find_waiting(schema: GraphQLSchema, resolvers: Mapping[str, Resolver]) -> set[str]:
    """Return the names of the types in which, however deep, a field waits."""
    waiting: set[str] = set()
    more = {
        place.partition(".")[0]
        for place, resolve in resolvers.items()
        if iscoroutinefunction(resolve)
    }
    while more:
        waiting |= more
        more = {
            kind.name
            for kind in _objects(schema)
            if any(get_named_type(field.type).name in waiting for field in kind.fields.values())
        } - waiting
    return waiting


def _resolver(schema: GraphQLSchema, place: str, definition: GraphQLField) -> Resolver:
    if definition.resolve is not None:
        return _introspector(schema, definition.resolve)
    look_up = attrgetter(PATHS.get(place, snake(place.partition(".")[2])))
    return lambda _, source: look_up(source)


def _introspector(schema: GraphQLSchema, resolve: Resolver) -> Resolver:
    """Return the resolver that graphql-core has for a field of introspection."""
    info = SimpleNamespace(schema=schema)
    return lambda _, source, **arguments: resolve(source, info, **arguments)


def _writer(kind: GraphQLOutputType) -> Write | None:
    if isinstance(kind, GraphQLNonNull):
        return _writer(kind.of_type)
    if isinstance(kind, GraphQLList):
        return _list_writer(_writer(kind.of_type))
    if isinstance(kind, GraphQLEnumType):
        return {value.value: name for name, value in kind.values.items()}.__getitem__
    return None


def _list_writer(write: Write | None) -> Write:
    if write is None:
        return list
    return lambda values: [None if value is None else write(value) for value in values]
