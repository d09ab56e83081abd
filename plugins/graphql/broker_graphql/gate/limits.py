"""Limits of a document that its text alone decides, checked before it is validated."""

from __future__ import annotations

from collections.abc import Sequence

from graphql.language import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    ListTypeNode,
    ListValueNode,
    Node,
    ObjectValueNode,
    OperationDefinitionNode,
    SelectionNode,
)
from graphql.language.ast import QUERY_DOCUMENT_KEYS

from broker_graphql.config import GraphqlConfig
from broker_graphql.gate.refusal import refuse_excess

INTROSPECTIVE = {"__schema", "__type"}
"""The fields that tell of the schema. `__typename` is none: it tells what the client knows."""

_NAMES = {"alias", "description", "name", "type_condition", "variable"}
_KEYS = {
    kind: tuple(key for key in keys if key not in _NAMES)
    for kind, keys in QUERY_DOCUMENT_KEYS.items()
}
"""Where a node has others in which something could be nested."""

_NESTING = (ListTypeNode, ListValueNode, ObjectValueNode)


def check_limits(document: DocumentNode, config: GraphqlConfig) -> None:
    """Raise Refused for a document that exceeds a limit of the config."""
    _check_nodes(document, config)
    fragments = {
        node.name.value: node
        for node in document.definitions
        if isinstance(node, FragmentDefinitionNode)
    }
    for node in document.definitions:
        if isinstance(node, OperationDefinitionNode):
            _check_roots(node, fragments, config)
            _Nesting(fragments, config).check(node.selection_set.selections)


def _check_nodes(document: DocumentNode, config: GraphqlConfig) -> None:
    """Count aliases and fragments, and how deep values are nested, without recursion."""
    aliases = fragments = 0
    found: list[tuple[Node, int]] = [(document, 0)]
    while found:
        node, level = found.pop()
        if isinstance(node, FieldNode):
            aliases += node.alias is not None
        elif isinstance(node, (FragmentDefinitionNode, InlineFragmentNode)):
            fragments += 1
        elif isinstance(node, _NESTING):
            level += 1
            _check("levels of values", "max_depth", level, config)
        for key in _KEYS.get(node.kind, ()):
            child = getattr(node, key)
            if isinstance(child, tuple):
                found += [(one, level) for one in child]
            elif child is not None:
                found.append((child, level))
    _check("aliases", "max_aliases", aliases, config)
    _check("fragments", "max_fragments", fragments, config)


def _check_roots(
    operation: OperationDefinitionNode,
    fragments: dict[str, FragmentDefinitionNode],
    config: GraphqlConfig,
) -> None:
    roots = 0
    followed: set[str] = set()
    found = list(operation.selection_set.selections)
    while found:
        node = found.pop()
        if isinstance(node, FieldNode):
            roots += 1
        elif isinstance(node, InlineFragmentNode):
            found += node.selection_set.selections
        elif isinstance(node, FragmentSpreadNode) and node.name.value not in followed:
            followed.add(node.name.value)
            if fragment := fragments.get(node.name.value):
                found += fragment.selection_set.selections
    _check("root fields", "max_root_fields", roots, config)


class _Nesting:
    """How deep the fields of one operation are nested."""

    def __init__(self, fragments: dict[str, FragmentDefinitionNode], config: GraphqlConfig) -> None:
        self._fragments = fragments
        self._config = config
        self._followed: dict[tuple[str, str], int] = {}
        """The deepest level at which each fragment was followed: by it a cycle ends, and so does
        a document that would be exponentially long with its fragments written out."""

    def check(
        self, selections: Sequence[SelectionNode], limit: str = "max_depth", level: int = 1
    ) -> None:
        """Raise Refused if there is too much below. It recurses as deep as the limits allow."""
        for node in selections:
            if isinstance(node, FieldNode):
                self._check_field(node, limit, level)
            elif isinstance(node, InlineFragmentNode):
                self.check(node.selection_set.selections, limit, level)
            elif isinstance(node, FragmentSpreadNode):
                self._follow(node.name.value, limit, level)

    def _check_field(self, field: FieldNode, limit: str, level: int) -> None:
        if field.name.value in INTROSPECTIVE:
            limit, level = "max_introspection_depth", 1
        _check("levels of fields", limit, level, self._config)
        if field.selection_set:
            self.check(field.selection_set.selections, limit, level + 1)

    def _follow(self, name: str, limit: str, level: int) -> None:
        if self._followed.get((name, limit), 0) >= level or name not in self._fragments:
            return
        self._followed[name, limit] = level
        self.check(self._fragments[name].selection_set.selections, limit, level)


def _check(what: str, limit: str, received: int, config: GraphqlConfig) -> None:
    allowed: int = getattr(config, limit)
    if received > allowed:
        raise refuse_excess(what, limit, allowed=allowed, received=received)
