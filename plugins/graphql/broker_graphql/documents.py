"""Documents: parsed, bounded and validated before the engine sees anything of them."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from graphql import GraphQLError, GraphQLSchema, parse, validate
from graphql.language import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    OperationDefinitionNode,
    SelectionSetNode,
)

from broker_graphql.config import GraphqlConfig
from broker_graphql.refusal import refuse, refuse_document

MAX_KNOWN = 256
"""How many documents are known by heart."""

MAX_ERRORS = 10
"""How much of what is wrong with a document is told."""


class Document:
    """A document that may be executed."""

    def __init__(self, tree: DocumentNode) -> None:
        self.tree = tree
        self.operations = {
            None if node.name is None else node.name.value: node
            for node in tree.definitions
            if isinstance(node, OperationDefinitionNode)
        }
        self.fragments = {
            node.name.value: node
            for node in tree.definitions
            if isinstance(node, FragmentDefinitionNode)
        }
        self.converted: dict[str | None, Any] = {}
        """The operations as the engine has them; the engine's own."""

    def operation(self, name: str | None) -> OperationDefinitionNode:
        """Return the operation of this name, or the only one; raises Refused."""
        if name is None and len(self.operations) == 1:
            return next(iter(self.operations.values()))
        if name is None:
            raise refuse("the document has several operations; name one", code="invalid")
        if name not in self.operations:
            raise refuse(f'the document has no operation "{name}"', code="invalid")
        return self.operations[name]

    def first_field(self, selected: SelectionSetNode) -> FieldNode:
        """Return the first field of what is selected, in whatever fragment it is."""
        selection: Any = selected.selections[0]
        if isinstance(selection, FieldNode):
            return selection
        if isinstance(selection, FragmentSpreadNode):
            selection = self.fragments[selection.name.value]
        return self.first_field(selection.selection_set)


class Documents:
    """Reads documents, each once as long as it is known."""

    def __init__(self, schema: GraphQLSchema, config: GraphqlConfig) -> None:
        self.schema = schema
        self._config = config
        self._known: OrderedDict[str, Document] = OrderedDict()

    def read(self, text: str) -> Document:
        """Return what a text says; raises Refused."""
        document = self._known.get(text)
        if document is None:
            document = self._read(text)
            self._known[text] = document
            if len(self._known) > MAX_KNOWN:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(text)
        return document

    def _read(self, text: str) -> Document:
        try:
            tree = parse(text, max_tokens=self._config.max_tokens)
        except GraphQLError as error:
            raise refuse_document([error], code="malformed") from error
        if errors := validate(self.schema, tree, max_errors=MAX_ERRORS):
            raise refuse_document(errors, code="invalid")
        return Document(tree)
