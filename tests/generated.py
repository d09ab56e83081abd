"""Operations that nobody thought of, each valid after the schema of the plugin `graphql`."""

import os
from dataclasses import replace

from broker_graphql.schema import make_schema, read_sdl
from graphql import FloatValueNode, StringValueNode, Visitor, print_ast, visit
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as some
from hypothesis_graphql import from_schema, nodes

EACH = int(os.environ.get("BROKER_GRAPHQL_OPERATIONS", "100"))
"""How many operations are made of each root field."""

QUERIES, MUTATIONS = (
    tuple(kind.fields) for kind in (make_schema().query_type, make_schema().mutation_type)
)
QUEUES = ("orders", "orders.dead", "audit")
MESSAGES = 9
SCALARS = {
    "Long": some.integers(-(2**53), 2**53).map(nodes.Int),
    "DateTime": some.text().map(nodes.String),
}


class _Plausible(Visitor):
    """Makes names and ids, as a rule, those of something that is there, and waits for nothing."""

    def enter_argument(self, node, *_):
        return self._make_plausible(node)

    def enter_object_field(self, node, *_):
        return self._make_plausible(node)

    def _make_plausible(self, node):
        name, value = node.name.value, node.value
        if isinstance(value, StringValueNode):
            number = sum(map(ord, value.value))
            if name in ("name", "queue", "deadLetterQueue"):
                value = replace(value, value=[*QUEUES, value.value][number % 4])
            elif name == "id":
                value = replace(value, value=str(number % MESSAGES))
        elif isinstance(value, FloatValueNode) and name == "wait":
            value = replace(value, value="0.0")
        return replace(node, value=value)


def _print(tree):
    return print_ast(visit(tree, _Plausible()))


def for_each_operation(*fields):
    """Call a test with so many operations of these root fields, the same in every run."""

    def decorate(test):
        made = from_schema(
            read_sdl(), fields=fields or None, custom_scalars=SCALARS, print_ast=_print
        )
        run = settings(
            max_examples=EACH,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        return run(given(made)(test))

    return decorate
