"""The whole way of an operation, whatever brought it: read, bounded, validated, executed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import msgspec
from broker import Broker, BrokerError, Event, Forbidden, Identity, Recheck
from graphql import (
    GraphQLError,
    VariableValues,
    get_argument_values,
    get_variable_values,
)
from graphql.language import FieldNode, OperationDefinitionNode, OperationType

from broker_graphql.engine import Engine, Plan, Result
from broker_graphql.events import Events
from broker_graphql.execution import Execution
from broker_graphql.gate.asking import Asked
from broker_graphql.gate.cost import Costs, Price
from broker_graphql.gate.documents import Document, Documents
from broker_graphql.gate.refusal import Refused, refuse, refuse_document
from broker_graphql.gate.validation import MAX_ERRORS
from broker_graphql.subscription import Subscription, read_wants


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """An operation that may be executed, with the values of its variables."""

    document: Document
    node: OperationDefinitionNode
    values: VariableValues
    """Of the variables, as graphql-core coerced them."""
    plan: Plan
    """How it is executed."""
    price: Price

    @property
    def is_subscription(self) -> bool:
        """Whether it is answered again and again."""
        return self.node.operation is OperationType.SUBSCRIPTION

    @property
    def root_field(self) -> FieldNode:
        """The one field that a subscription selects: validation allows it no other."""
        return self.document.first_field(self.node.selection_set)


class Executor:
    """Executes what clients ask."""

    def __init__(
        self,
        broker: Broker,
        documents: Documents,
        costs: Costs,
        engine: Engine,
        events: Events,
        *,
        buffer: int,
        tells_schema: bool,
        logger: logging.Logger,
    ) -> None:
        """`buffer` is how many events may wait for a client; `tells_schema`, whether others than
        admins may ask for the schema."""
        self.schema = documents.schema
        self.events = events
        """What tells subscriptions."""
        self._broker = broker
        self._documents = documents
        self._costs = costs
        self._tells_schema = tells_schema
        self._engine = engine
        self._buffer = buffer
        self._logger = logger

    async def open(self) -> None:
        """Open the engine."""
        await self._engine.open()

    async def close(self) -> None:
        """Close the engine."""
        await self._engine.close()

    def prepare(self, asked: Asked, identity: Identity) -> Operation:
        """Return what is asked for, once it is known to be within all bounds; raises Refused."""
        document = self._documents.find(asked)
        if document.introspects:
            self._permit_introspection(identity)
        node = document.operation(asked.operation_name)
        price = self._costs.price(document, node, asked.variables)
        price.check()
        values = get_variable_values(
            self.schema,
            node.variable_definitions or (),
            asked.variables,
            max_errors=MAX_ERRORS,
            hide_suggestions=not self._tells_schema,
        )
        if isinstance(values, list):
            raise refuse_document(values, code="invalid")
        plan = self._engine.prepare(document, node, values)
        return Operation(document=document, node=node, values=values, plan=plan, price=price)

    def _permit_introspection(self, identity: Identity) -> None:
        if self._tells_schema:
            return
        try:
            self._broker.demand_admin(identity)
        except Forbidden as error:
            raise refuse(
                "here, the schema is told to admins alone", code="introspection-disabled"
            ) from error

    def begin(self, identity: Identity, *, request_id: str, recheck: Recheck | None) -> Execution:
        """Return what an operation is executed with."""
        return Execution(
            self._broker, identity, request_id=request_id, recheck=recheck, logger=self._logger
        )

    async def execute(
        self, operation: Operation, execution: Execution, *, root: Any = None
    ) -> Result:
        """Return the result of an operation, for a subscription that of one event: its `root`."""
        execution.price = operation.price
        try:
            result = await self._engine.execute(operation.plan, execution, root=root)
        except BaseException:
            # Cancelled, as a rule: nobody is left to get what was leased.
            await execution.give_back()
            raise
        await execution.give_back_lost(result.get("data") or {})
        return result

    def subscribe(
        self, operation: Operation, execution: Execution, wake: Callable[[], None]
    ) -> Subscription:
        """Return what a subscription tells from now on; `wake` is called when there may be
        something. Raises Refused, with the error of its field, for bad arguments and for who may
        read nothing of it."""

        async def execute(event: Event) -> Result:
            return await self.execute(operation, execution, root=event)

        field = operation.root_field
        try:
            return Subscription(
                execution,
                self.events,
                wants=read_wants(**self._arguments(operation, field)),
                execute=execute,
                wake=wake,
                buffer=self._buffer,
            )
        except BrokerError as error:
            told = GraphQLError(str(error), field, path=[(field.alias or field.name).value])
            raise Refused([execution.tell({**told.formatted}, error)]) from error

    def _arguments(self, operation: Operation, field: FieldNode) -> dict[str, Any]:
        assert self.schema.subscription_type is not None, "the schema has subscriptions"
        definition = self.schema.subscription_type.fields[field.name.value]
        return get_argument_values(definition, field, operation.values)
