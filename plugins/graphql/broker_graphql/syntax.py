"""From the tree that graphql-core parsed to the tree that tartiflette executes.

tartiflette's own parser, which is C and can be crashed, is never called: a document has one
reader, and what was checked is what is executed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from graphql.language import ast as core
from tartiflette.language import ast as theirs


def convert_document(document: core.DocumentNode) -> Any:
    """Return a valid executable document as tartiflette has it."""
    return _convert(document)


def _convert(node: core.Node) -> Any:
    make, fields = _FORMS[type(node)]
    return make(
        **{name: _convert_value(getattr(node, source)) for name, source in fields},
        location=_locate(node),
    )


def _convert_value(value: Any) -> Any:
    if isinstance(value, core.Node):
        return _convert(value)
    if isinstance(value, (list, tuple)):
        return [_convert(node) for node in value]
    return value.value if isinstance(value, core.OperationType) else value


def _locate(node: core.Node) -> Any:
    assert node.loc is not None, "documents are parsed with locations"
    token = node.loc.start_token
    return theirs.Location(line=token.line, column=token.column)


def _same(make: Callable[..., Any], *names: str) -> tuple[Callable[..., Any], Any]:
    return make, tuple((name, name) for name in names)


_FORMS: dict[type[core.Node], tuple[Callable[..., Any], tuple[tuple[str, str], ...]]] = {
    core.DocumentNode: _same(theirs.DocumentNode, "definitions"),
    core.OperationDefinitionNode: (
        theirs.OperationDefinitionNode,
        (
            ("operation_type", "operation"),
            ("name", "name"),
            ("variable_definitions", "variable_definitions"),
            ("directives", "directives"),
            ("selection_set", "selection_set"),
        ),
    ),
    core.FragmentDefinitionNode: _same(
        theirs.FragmentDefinitionNode, "name", "type_condition", "selection_set", "directives"
    ),
    core.VariableDefinitionNode: _same(
        theirs.VariableDefinitionNode, "variable", "type", "default_value"
    ),
    core.SelectionSetNode: _same(theirs.SelectionSetNode, "selections"),
    core.FieldNode: _same(
        theirs.FieldNode, "name", "alias", "arguments", "directives", "selection_set"
    ),
    core.FragmentSpreadNode: _same(theirs.FragmentSpreadNode, "name", "directives"),
    core.InlineFragmentNode: _same(
        theirs.InlineFragmentNode, "selection_set", "type_condition", "directives"
    ),
    core.ArgumentNode: _same(theirs.ArgumentNode, "name", "value"),
    core.DirectiveNode: _same(theirs.DirectiveNode, "name", "arguments"),
    core.NameNode: _same(theirs.NameNode, "value"),
    core.VariableNode: _same(theirs.VariableNode, "name"),
    core.NamedTypeNode: _same(theirs.NamedTypeNode, "name"),
    core.ListTypeNode: _same(theirs.ListTypeNode, "type"),
    core.NonNullTypeNode: _same(theirs.NonNullTypeNode, "type"),
    core.IntValueNode: _same(theirs.IntValueNode, "value"),
    core.FloatValueNode: _same(theirs.FloatValueNode, "value"),
    core.StringValueNode: _same(theirs.StringValueNode, "value"),
    core.BooleanValueNode: _same(theirs.BooleanValueNode, "value"),
    core.EnumValueNode: _same(theirs.EnumValueNode, "value"),
    core.NullValueNode: _same(theirs.NullValueNode),
    core.ListValueNode: _same(theirs.ListValueNode, "values"),
    core.ObjectValueNode: _same(theirs.ObjectValueNode, "fields"),
    core.ObjectFieldNode: _same(theirs.ObjectFieldNode, "name", "value"),
}
