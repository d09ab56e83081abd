"""Documents: parsed, bounded and validated before the engine sees anything of them."""

from __future__ import annotations

import hashlib
import sys
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from graphql import GraphQLError, GraphQLSchema, parse
from graphql.language import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    OperationDefinitionNode,
    SelectionSetNode,
    Token,
    TokenKind,
)
from graphql.language.parser import MAX_NESTING_DEPTH

from broker_graphql.config import GraphqlConfig
from broker_graphql.gate.asking import Asked
from broker_graphql.gate.limits import INTROSPECTIVE, check_limits
from broker_graphql.gate.persisted import read_folder
from broker_graphql.gate.refusal import Refused, refuse, refuse_document, refuse_excess
from broker_graphql.gate.validation import check_valid

MAX_KNOWN_BYTES = 32 * 1024 * 1024
"""How much memory the documents may take that are known by heart."""

TOKEN_BYTES = 1152
"""How much a token takes at most, with all that is made of it but its text."""


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
        tokens = list(_tokens(tree))
        assert tree.loc is not None, "documents are parsed with locations"
        # The text counts thrice, for tokens have it, too, and its UTF-8 is kept beside it: it can
        # be one comment, each character of which takes four bytes.
        self.size = TOKEN_BYTES * len(tokens) + 3 * sys.getsizeof(tree.loc.source.body)
        """How many bytes of memory it takes at most."""
        self.introspects = any(
            token.kind is TokenKind.NAME and token.value in INTROSPECTIVE for token in tokens
        )
        """Whether it asks for the schema."""
        self.converted: dict[str | None, Any] = {}
        """The operation that was last asked for as the engine has it; the engine's own."""

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

    def __init__(
        self,
        schema: GraphQLSchema,
        config: GraphqlConfig,
        data_dir: Path,
        *,
        hide_suggestions: bool,
    ) -> None:
        """`hide_suggestions`, since what may have been meant tells of the schema.

        The documents that clients may name by their hash are read now, so that whatever checks a
        config finds what is wrong with them; raises ConfigError.
        """
        self.schema = schema
        self._config = config
        self._hide_suggestions = hide_suggestions
        self._known: OrderedDict[str, Document] = OrderedDict()
        self._size = 0
        self._persisted: dict[str, Document] = {}
        if config.documents is not None:
            self._persisted = read_folder(data_dir / config.documents, self._read)

    def find(self, asked: Asked) -> Document:
        """Return the document of a request; raises Refused."""
        if asked.query is None:
            return self._find_persisted(asked)
        if not self._config.only_documents:
            return self.read(asked.query)
        digest = hashlib.sha256(asked.query.encode()).hexdigest()
        if digest not in self._persisted:
            raise refuse(
                "only_documents allows documents that are persisted; received another",
                code="document-not-found",
            )
        return self._persisted[digest]

    def _find_persisted(self, asked: Asked) -> Document:
        document = self._persisted.get(asked.digest or "")
        if document is None:
            # By this very message, Apollo's clients know that they shall send the text.
            message = f'there is no document "sha256:{asked.digest}"'
            raise refuse(
                "PersistedQueryNotFound" if asked.is_automatic else message,
                code="document-not-found",
            )
        return document

    def read(self, text: str) -> Document:
        """Return what a text says; raises Refused."""
        document = self._known.get(text)
        if document is not None:
            self._known.move_to_end(text)
            return document
        document = self._known[text] = self._read(text)
        self._size += document.size
        while self._size > MAX_KNOWN_BYTES:
            _, forgotten = self._known.popitem(last=False)
            self._size -= forgotten.size
        return document

    def _read(self, text: str) -> Document:
        try:
            tree = parse(text, max_tokens=self._config.max_tokens)
        except GraphQLError as error:
            raise self._refuse_text(error) from error
        check_limits(tree, self._config)
        check_valid(tree, self.schema, hide_suggestions=self._hide_suggestions)
        return Document(tree)

    def _refuse_text(self, error: GraphQLError) -> Refused:
        """Return the refusal of a text that could not be read to its end."""
        if "tokens. Parsing aborted" in error.message:
            most = self._config.max_tokens
            return refuse_excess("tokens", "max_tokens", allowed=most, received=most + 1)
        if "nested too deeply" in error.message:
            return refuse_excess(
                "levels", "max_depth", allowed=self._config.max_depth, received=MAX_NESTING_DEPTH
            )
        return refuse_document([error], code="malformed")


def _tokens(tree: DocumentNode) -> Iterator[Token]:
    assert tree.loc is not None, "documents are parsed with locations"
    token: Token | None = tree.loc.start_token
    while token is not None:
        yield token
        token = token.next
