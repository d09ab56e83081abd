"""From the tree that graphql-core parsed to the tree that tartiflette executes.

tartiflette's own parser, which is C and can be crashed, is never called: a document has one
reader, and what was checked is what is executed. Of values tartiflette sees none: what @skip and
@include leave out is not in its tree, and a field there has the node that holds its arguments.
"""

from __future__ import annotations

from typing import Any

from graphql import (
    GraphQLIncludeDirective,
    GraphQLSkipDirective,
    VariableValues,
    get_directive_values,
)
from graphql.language import ast as core
from tartiflette.language import ast as theirs


class FieldNode(theirs.FieldNode):
    """A field, with its node as it was parsed."""

    __slots__ = ("parsed",)

    def __init__(self, parsed: core.FieldNode, selection_set: Any) -> None:
        super().__init__(
            name=_name(parsed.name),
            alias=_name(parsed.alias),
            selection_set=selection_set,
            location=_locate(parsed),
        )
        self.parsed = parsed


class Conversion:
    """Converts one operation of a valid document, and its fragments, for these variables."""

    def __init__(self, values: VariableValues) -> None:
        self.values = values
        self.is_conditional = False
        """Whether what was converted is another tree for other variables."""
        self._spread: set[str] = set()
        """The fragments that are in what was converted."""

    def convert(
        self, document: core.DocumentNode, operation: core.OperationDefinitionNode
    ) -> theirs.DocumentNode:
        """Return what is executed; raises GraphQLError for a condition that is null."""
        chosen = theirs.OperationDefinitionNode(
            operation_type=operation.operation.value,
            selection_set=self._selection_set(operation.selection_set),
            location=_locate(operation),
        )
        fragments = {
            node.name.value: node
            for node in document.definitions
            if isinstance(node, core.FragmentDefinitionNode)
        }
        # No others: their conditions can be variables that another operation has.
        converted: dict[str, Any] = {}
        while missing := self._spread - converted.keys():
            converted |= {name: self._fragment(fragments[name]) for name in missing}
        return theirs.DocumentNode([chosen, *converted.values()])

    def _fragment(self, node: core.FragmentDefinitionNode) -> Any:
        return theirs.FragmentDefinitionNode(
            name=_name(node.name),
            type_condition=_type(node.type_condition),
            selection_set=self._selection_set(node.selection_set),
            location=_locate(node),
        )

    def _selection_set(self, node: core.SelectionSetNode | None) -> Any:
        if node is None:
            return None
        selections = [self._selection(one) for one in node.selections if self._is_included(one)]
        return theirs.SelectionSetNode(selections, location=_locate(node))

    def _selection(self, node: core.SelectionNode) -> Any:
        if isinstance(node, core.FieldNode):
            return FieldNode(node, self._selection_set(node.selection_set))
        if isinstance(node, core.FragmentSpreadNode):
            self._spread.add(node.name.value)
            return theirs.FragmentSpreadNode(_name(node.name), location=_locate(node))
        assert isinstance(node, core.InlineFragmentNode)
        return theirs.InlineFragmentNode(
            self._selection_set(node.selection_set),
            type_condition=_type(node.type_condition),
            location=_locate(node),
        )

    def _is_included(self, node: core.SelectionNode) -> bool:
        if not node.directives:
            return True
        self.is_conditional = True
        skip = get_directive_values(GraphQLSkipDirective, node, self.values)
        include = get_directive_values(GraphQLIncludeDirective, node, self.values)
        return not (skip and skip["if"]) and (include is None or bool(include["if"]))


def _name(node: core.NameNode | None) -> Any:
    return None if node is None else theirs.NameNode(node.value, location=_locate(node))


def _type(node: core.NamedTypeNode | None) -> Any:
    if node is None:
        return None
    return theirs.NamedTypeNode(_name(node.name), location=_locate(node))


def _locate(node: core.Node) -> Any:
    assert node.loc is not None, "documents are parsed with locations"
    token = node.loc.start_token
    return theirs.Location(line=token.line, column=token.column)
