"""Whether a document may be executed by the schema: GraphQL's rules, in bounded time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from graphql import (
    GraphQLError,
    GraphQLFloat,
    GraphQLSchema,
    get_named_type,
    specified_rules,
    validate,
)
from graphql.language import DocumentNode, FloatValueNode, IntValueNode
from graphql.validation import (
    OverlappingFieldsCanBeMergedRule,
    ValidationContext,
    ValidationRule,
)
from graphql.validation.validate import ValidationAbortedError

from broker_graphql.gate.refusal import Refused, refuse, refuse_document

MAX_ERRORS = 10
"""How much of what is wrong with a document, or with its variables, is told."""

MAX_COMPARISONS = 25_000
"""How many steps it may take to see that fields of one name ask for the same."""


def check_valid(document: DocumentNode, schema: GraphQLSchema, *, hide_suggestions: bool) -> None:
    """Raise Refused for a document that the schema does not allow; `hide_suggestions` of what may
    have been meant."""
    errors = validate(
        schema, document, _RULES, max_errors=MAX_ERRORS, hide_suggestions=hide_suggestions
    )
    if errors:
        raise _refuse(errors)


class _BoundedOverlaps(OverlappingFieldsCanBeMergedRule):
    """The one rule that takes quadratic time: within its own bound it could take 70 ms."""

    def __init__(self, context: ValidationContext) -> None:
        super().__init__(context)
        self.rule_context.remaining_complexity_budget = MAX_COMPARISONS


class _FiniteFloats(ValidationRule):
    """graphql-core refuses 1e400 as the value of a variable, but reads it in a document as inf."""

    def enter_float_value(self, node: FloatValueNode, *_: Any) -> None:
        self._check(node)

    def enter_int_value(self, node: IntValueNode, *_: Any) -> None:
        self._check(node)

    def _check(self, node: FloatValueNode | IntValueNode) -> None:
        kind = get_named_type(self.context.get_input_type())
        if kind is GraphQLFloat and math.isinf(float(node.value)):
            self.report_error(GraphQLError("Float cannot represent a number so large", node))


_RULES = [
    *(
        _BoundedOverlaps if rule is OverlappingFieldsCanBeMergedRule else rule
        for rule in specified_rules
    ),
    _FiniteFloats,
]


def _refuse(errors: Sequence[GraphQLError]) -> Refused:
    told = [error for error in errors if not isinstance(error, ValidationAbortedError)]
    if told:
        return refuse_document(told, code="invalid")
    return refuse(
        "too many fields of the same names are in the same places to compare them; name each once",
        code="too-complex",
    )
