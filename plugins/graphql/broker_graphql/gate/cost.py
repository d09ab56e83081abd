"""What an operation may cost: how many fields its answer can have."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec
from broker import limits
from graphql import (
    GRAPHQL_MAX_INT,
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    get_named_type,
    get_nullable_type,
    is_list_type,
)
from graphql.language import (
    FieldNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    ValueNode,
    VariableNode,
)

from broker_graphql.config import GraphqlConfig
from broker_graphql.gate.documents import Document
from broker_graphql.gate.refusal import refuse_excess

SIZES = ("first", "limit")
"""The arguments that say how long a list may be."""

PASSED_OVER = 0.1
"""What one costs of those that `offset` leaves out: they are read, and no field of them is told."""

LENGTHS = {
    "Message.headers": float(limits.MAX_HEADERS),
    "__Type.ofType": 0.5,
}
"""How long lists may be of which no argument says it."""

ASSUMED_LENGTH = 10.0
"""How long any other is taken for."""


class Price(msgspec.Struct, frozen=True):
    """What an operation costs, as far as that is known before it is executed."""

    most: int = 0
    """What it may cost."""
    fields: float = 0
    each_queue: float = 0
    """What comes to it with each queue of `allQueues`, whose length no argument says."""

    def check(self, *, queues: int = 1) -> None:
        """Raise Refused if that is too much for so many queues."""
        cost = math.ceil(self.fields + queues * self.each_queue)
        if cost > self.most:
            raise refuse_excess(
                "fields in the answer", "max_cost", allowed=self.most, received=cost
            )


class Costs:
    """Counts each field as often as the lists allow in which it is.

    The length of a list is what an argument asks for, `first` or `limit`, or that of the longest
    list among the arguments: so many results has a mutation. Either also counts for the lists
    right below, as those of a connection. What an `offset` passes over costs a part of a field.
    """

    def __init__(self, schema: GraphQLSchema, config: GraphqlConfig) -> None:
        self._schema = schema
        self._config = config
        self._lengths = {**LENGTHS, **_introspected(schema)}

    def price(
        self, document: Document, operation: OperationDefinitionNode, variables: Mapping[str, Any]
    ) -> Price:
        """Return what an operation, found valid, costs with these variables.

        They may be as they came: to see whether they are right costs more than this.
        """
        root = self._schema.get_root_type(operation.operation)
        assert root is not None, "an operation is validated before it is counted"
        defaults = {
            definition.variable.name.value: definition.default_value
            for definition in operation.variable_definitions or ()
        }
        counting = _Counting(self._schema, self._lengths, document, variables, defaults)
        fields = counting.selections(operation.selection_set, root, None)
        return Price(self._config.max_cost, fields, counting.each_queue)


class _Counting:
    def __init__(
        self,
        schema: GraphQLSchema,
        lengths: Mapping[str, float],
        document: Document,
        variables: Mapping[str, Any],
        defaults: Mapping[str, ValueNode | None],
    ) -> None:
        self._schema = schema
        self._lengths = lengths
        self._document = document
        self._variables = variables
        self._defaults = defaults
        self._counted: dict[tuple[str, float | None], float] = {}
        self.each_queue = 0.0

    def selections(
        self, selected: SelectionSetNode, kind: GraphQLNamedType, length: float | None
    ) -> float:
        """Return what is selected of one object; `length` is that of lists right below."""
        cost = 0.0
        for node in selected.selections:
            if isinstance(node, FieldNode):
                cost += self._field(node, kind, length)
            elif isinstance(node, InlineFragmentNode):
                cost += self.selections(node.selection_set, kind, length)
            elif isinstance(node, FragmentSpreadNode):
                cost += self._fragment(node.name.value, kind, length)
        return cost

    def _fragment(self, name: str, kind: GraphQLNamedType, length: float | None) -> float:
        if (name, length) not in self._counted:
            selected = self._document.fragments[name].selection_set
            self._counted[name, length] = self.selections(selected, kind, length)
        return self._counted[name, length]

    def _field(self, node: FieldNode, kind: GraphQLNamedType, length: float | None) -> float:
        if node.selection_set is None:
            return 1
        assert isinstance(kind, GraphQLObjectType), "the schema has no other composite types"
        field = self._schema.get_field(kind, node.name.value)
        assert field is not None, "an operation is validated before it is counted"
        place = f"{kind.name}.{node.name.value}"
        given = {argument.name.value: argument.value for argument in node.arguments or ()}
        cost = 1 + self._passed_over(given, field)
        asked = self._asked(given, field)
        below = get_named_type(field.type)
        if place == "Query.allQueues":
            self.each_queue += self.selections(node.selection_set, below, None)
            return cost
        if not is_list_type(get_nullable_type(field.type)):
            times = self._lengths.get(place, 1.0)
            return cost + times * self.selections(node.selection_set, below, asked)
        length = length if asked is None else asked
        times = self._lengths.get(place, ASSUMED_LENGTH) if length is None else length
        return cost + times * self.selections(node.selection_set, below, None)

    def _passed_over(self, given: Mapping[str, ValueNode], field: GraphQLField) -> float:
        if "offset" not in field.args:
            return 0
        return PASSED_OVER * max(0, self._number(given.get("offset"), field.args["offset"]))

    def _asked(self, given: Mapping[str, ValueNode], field: GraphQLField) -> float | None:
        for name in SIZES:
            if name in field.args:
                return max(0, self._number(given.get(name), field.args[name]))
        lengths = [
            self._length(given[name])
            for name, argument in field.args.items()
            if name in given and is_list_type(get_nullable_type(argument.type))
        ]
        return max(lengths, default=None)

    def _number(self, node: ValueNode | None, argument: GraphQLArgument) -> float:
        given = self._given(node)
        if isinstance(given, int | float):
            # What is no Int is refused with the variables.
            return given if given <= GRAPHQL_MAX_INT else 0
        if not isinstance(given, IntValueNode) and argument.default is not None:
            given = argument.default.literal
        return int(given.value) if isinstance(given, IntValueNode) else ASSUMED_LENGTH

    def _length(self, node: ValueNode) -> float:
        given = self._given(node)
        if isinstance(given, ListValueNode):
            return len(given.values)
        return len(given) if isinstance(given, list) else 1

    def _given(self, node: ValueNode | None) -> Any:
        """Return what a variable stands for, which is not known to be right yet."""
        if not isinstance(node, VariableNode):
            return node
        name = node.name.value
        return self._variables[name] if name in self._variables else self._defaults.get(name)


def _introspected(schema: GraphQLSchema) -> dict[str, float]:
    """Return how long the lists are, on average, that tell of this schema, which has no interfaces
    and no unions."""
    kinds = list(schema.type_map.values())
    fields = [
        field
        for kind in kinds
        if isinstance(kind, GraphQLObjectType)
        for field in kind.fields.values()
    ]
    inputs = [kind.fields for kind in kinds if isinstance(kind, GraphQLInputObjectType)]
    enums = [kind.values for kind in kinds if isinstance(kind, GraphQLEnumType)]
    return {
        "__Schema.types": len(kinds),
        "__Schema.directives": len(schema.directives),
        "__Type.fields": len(fields) / len(kinds),
        "__Type.inputFields": sum(map(len, inputs)) / len(kinds),
        "__Type.enumValues": sum(map(len, enums)) / len(kinds),
        "__Type.interfaces": 0,
        "__Type.possibleTypes": 0,
        "__Field.args": sum(len(field.args) for field in fields) / len(fields),
    }
