"""The engine that executes documents: tartiflette, and nothing else here knows that.

Another engine could stand here that takes the same schema, resolvers and documents.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
import tartiflette
from graphql import (
    GraphQLError,
    GraphQLScalarType,
    GraphQLSchema,
    VariableValues,
    get_argument_values,
    print_schema,
    print_type,
)
from graphql.language import OperationDefinitionNode
from graphql.type import introspection_types, specified_scalar_types
from tartiflette.schema.registry import SchemaRegistry
from tartiflette.types.exceptions.tartiflette import TartifletteError

from broker_graphql.execution import INTERNAL, Execution
from broker_graphql.fields import Field, Resolver, make_fields
from broker_graphql.gate.documents import Document
from broker_graphql.gate.refusal import refuse_document
from broker_graphql.syntax import Conversion

Result = dict[str, Any]

ORIGINAL = "original"
"""The key in an error, until it is told, of the exception that it stands for."""

FIELDS_A_TURN = 250
"""How many fields are resolved before others have their turn on the loop: some 2 ms."""

_numbers = itertools.count(1)


class Plan(msgspec.Struct, frozen=True):
    """An operation as it is executed."""

    tree: Any
    values: VariableValues


class _Run:
    """What tartiflette hands on to resolvers while it executes an operation."""

    __slots__ = ("execution", "resolved", "values")

    def __init__(self, execution: Execution, values: VariableValues) -> None:
        self.execution = execution
        self.values = values
        self.resolved = 0
        """How many fields, in this turn on the loop."""

    async def wait(self) -> None:
        """Wait for the next turn. All tasks of this operation do, so that each turn is short."""
        if self.resolved == FIELDS_A_TURN + 1:
            asyncio.get_running_loop().call_soon(self._begin_turn)
        await asyncio.sleep(0)

    def _begin_turn(self) -> None:
        self.resolved = 0


class Engine:
    """Executes documents that were found valid. Open it on the loop that uses it."""

    def __init__(self, schema: GraphQLSchema, resolvers: Mapping[str, Resolver]) -> None:
        self._schema = schema
        self._fields = make_fields(schema, resolvers)
        # Its registry is global: two brokers of one process must not meet there.
        self._name = f"broker-{next(_numbers)}"
        self._engine: Any = None

    async def open(self) -> None:
        """Make what executes."""
        kinds = {**self._schema.type_map, **specified_scalar_types}
        for name, kind in kinds.items():
            if isinstance(kind, GraphQLScalarType):
                tartiflette.Scalar(name, schema_name=self._name)(_scalar(kind))
        for place, field in self._fields.items():
            tartiflette.Resolver(
                place,
                schema_name=self._name,
                # Where nothing is waited for, a task for each field would be most of the work.
                parent_concurrently=field.waits_beside,
                list_concurrently=field.waits_inside,
            )(_as_theirs(field, is_serial=place.startswith("Mutation.")))
        # What has an implementation, tartiflette neither implements nor adds to the SDL.
        built_in = [*specified_scalar_types.values(), *introspection_types.values()]
        self._engine = tartiflette.Engine(
            "\n".join([print_schema(self._schema), *map(print_type, built_in)]),
            schema_name=self._name,
            error_coercer=_keep_original,
            query_cache_decorator=lambda _: lambda plan, _: (plan.tree, None),
        )
        await self._engine.cook()

    async def close(self) -> None:
        """Forget what executes."""
        self._engine = None
        SchemaRegistry._schemas.pop(self._name, None)  # noqa: SLF001  # it offers to forget all or none

    def prepare(
        self, document: Document, operation: OperationDefinitionNode, values: VariableValues
    ) -> Plan:
        """Return how an operation of a document is executed; raises Refused."""
        name = operation.name.value if operation.name else None
        tree = document.converted.get(name)
        if tree is None:
            conversion = Conversion(values)
            try:
                tree = conversion.convert(document.tree, operation)
            except GraphQLError as error:
                raise refuse_document([error], code="invalid") from error
            if not conversion.is_conditional:
                # One at a time: a document could have a hundred, each with the same fragments.
                document.converted = {name: tree}
        return Plan(tree, values)

    async def execute(self, plan: Plan, execution: Execution, *, root: Any = None) -> Result:
        """Execute an operation; for a subscription, on one event, its `root`."""
        result: Result = await self._engine.execute(
            plan, context=_Run(execution, plan.values), initial_value=root
        )
        if errors := result.get("errors"):
            result["errors"] = [execution.tell(error, error.pop(ORIGINAL)) for error in errors]
        return result


async def _keep_original(exception: Any, error: dict[str, Any]) -> dict[str, Any]:
    return {**error, ORIGINAL: exception.__cause__ or exception.original_error or exception}


def _as_theirs(field: Field, *, is_serial: bool) -> Callable[..., Awaitable[Any]]:
    definition, resolve, write, waits = field.definition, field.resolve, field.write, field.waits

    async def resolver(source: Any, _: Any, run: _Run, info: Any) -> Any:
        run.resolved += 1
        if run.resolved > FIELDS_A_TURN:
            await run.wait()
        try:
            if is_serial:
                await run.execution.begin(info.path.key)
            if definition.args:
                arguments = _read_arguments(definition, info.field_nodes[0].parsed, run.values)
                value = resolve(run.execution, source, **arguments)
            else:
                value = resolve(run.execution, source)
            if waits:
                value = await value
            return value if write is None or value is None else write(value)
        except asyncio.CancelledError as error:
            if _is_cancelled():
                raise
            raise TartifletteError(INTERNAL) from error
        except Exception as error:
            # Whatever it is, it shall not be taken for one of tartiflette's own errors.
            raise TartifletteError(INTERNAL) from error

    return resolver


def _is_cancelled() -> bool:
    """Return whether who executes was cancelled, and not only what it waited for."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


def _read_arguments(definition: Any, node: Any, values: VariableValues) -> dict[str, Any]:
    try:
        return get_argument_values(definition, node, values)
    except GraphQLError as error:
        raise refuse_document([error], code="invalid") from error


def _scalar(scalar: GraphQLScalarType) -> object:
    class Scalar:
        coerce_output = staticmethod(scalar.coerce_output_value)
        coerce_input = parse_literal = staticmethod(scalar.coerce_input_value)

    return Scalar()
