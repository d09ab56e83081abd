"""What is refused before anything of it is executed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graphql import GraphQLError


class Refused(Exception):
    """A request that is not executed; `errors` are as clients get them, `status` is HTTP's."""

    def __init__(self, errors: Sequence[dict[str, Any]], *, status: int = 400) -> None:
        super().__init__("; ".join(error["message"] for error in errors))
        self.errors = list(errors)
        self.status = status


def refuse(message: str, *, code: str, status: int = 400, **extensions: Any) -> Refused:
    """Return the refusal for one reason."""
    error = {"message": message, "extensions": {"code": code, **extensions}}
    return Refused([error], status=status)


def refuse_document(errors: Sequence[GraphQLError], *, code: str) -> Refused:
    """Return the refusal of a document for what graphql-core says of it."""
    return Refused([{**error.formatted, "extensions": {"code": code}} for error in errors])
