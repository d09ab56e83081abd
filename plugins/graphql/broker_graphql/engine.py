"""The engine that executes documents: tartiflette, and nothing else here knows that.

Another engine could stand here that takes the same schema, resolvers and documents.
"""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import tartiflette
from graphql import GraphQLSchema
from tartiflette.constants import UNDEFINED_VALUE
from tartiflette.language.ast import FloatValueNode, IntValueNode, StringValueNode
from tartiflette.schema.registry import SchemaRegistry

from broker_graphql.documents import Document
from broker_graphql.execution import Execution
from broker_graphql.fields import Resolver, make_resolvers
from broker_graphql.scalars import SCALARS, ScalarForm
from broker_graphql.schema import SDL
from broker_graphql.syntax import convert_document

Result = dict[str, Any]

ORIGINAL = "original"
"""The key in an error, until it is told, of the exception that it stands for."""

_numbers = itertools.count(1)


class Engine:
    """Executes documents that were found valid. Open it on the loop that uses it."""

    def __init__(
        self, schema: GraphQLSchema, resolvers: Mapping[str, Callable[..., Awaitable[Any]]]
    ) -> None:
        self._schema = schema
        self._resolvers = resolvers
        # Its registry is global: two brokers of one process must not meet there.
        self._name = f"broker-{next(_numbers)}"
        self._engine: Any = None

    async def open(self) -> None:
        """Make what executes."""
        for name, form in SCALARS.items():
            tartiflette.Scalar(name, schema_name=self._name)(_scalar_class(form))
        for field, resolve in make_resolvers(self._schema, self._resolvers).items():
            tartiflette.Resolver(field, schema_name=self._name)(_as_theirs(resolve))
        self._engine = tartiflette.Engine(
            SDL,
            schema_name=self._name,
            error_coercer=_keep_original,
            query_cache_decorator=lambda _: _take_converted,
        )
        await self._engine.cook()

    async def close(self) -> None:
        """Forget what executes."""
        self._engine = None
        SchemaRegistry._schemas.pop(self._name, None)  # noqa: SLF001  # it offers to forget all or none

    async def execute(
        self,
        document: Document,
        execution: Execution,
        *,
        operation_name: str | None = None,
        variables: Mapping[str, Any],
        root: Any = None,
    ) -> Result:
        """Execute one operation of a document; for a subscription, on one event, its `root`."""
        result: Result = await self._engine.execute(
            document,
            operation_name=operation_name,
            context=execution,
            variables=dict(variables),
            initial_value=root,
        )
        if errors := result.get("errors"):
            result["errors"] = [
                execution.tell(error, error.pop(ORIGINAL, None)) for error in errors
            ]
        return result


def _take_converted(document: Document, _: Any) -> tuple[Any, None]:
    """Stand for tartiflette's parser and validator, between which and this no cache is needed."""
    if document.converted is None:
        document.converted = convert_document(document.tree)
    return document.converted, None


def _as_theirs(resolve: Resolver) -> Callable[..., Awaitable[Any]]:
    async def resolver(source: Any, arguments: Any, execution: Any, _: Any) -> Any:
        return await resolve(execution, source, arguments)

    return resolver


async def _keep_original(exception: Any, error: dict[str, Any]) -> dict[str, Any]:
    return {**error, ORIGINAL: getattr(exception, "original_error", None)}


def _scalar_class(form: ScalarForm) -> type:
    class Scalar:
        def coerce_output(self, value: Any) -> Any:
            return form.write(value)

        def coerce_input(self, value: Any) -> Any:
            return form.read(value)

        def parse_literal(self, node: Any) -> Any:
            try:
                return form.read(_literal(node))
            except ValueError:
                return UNDEFINED_VALUE

    return Scalar


def _literal(node: Any) -> Any:
    if isinstance(node, IntValueNode):
        return int(node.value)
    if isinstance(node, FloatValueNode):
        return float(node.value)
    return node.value if isinstance(node, StringValueNode) else None
