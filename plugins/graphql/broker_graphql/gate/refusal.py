"""What is refused before anything of it is executed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graphql import GraphQLError

MAX_MESSAGE = 1000
"""How many characters of what graphql-core says are told."""


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
    return Refused([_tell(error, code) for error in errors])


def _tell(error: GraphQLError, code: str) -> dict[str, Any]:
    told: dict[str, Any] = {**error.formatted, "extensions": {"code": code}}
    if len(error.message) > MAX_MESSAGE:  # it quotes what came
        told["message"] = error.message[:MAX_MESSAGE] + "…"
    return told


def refuse_excess(what: str, limit: str, *, allowed: int, received: int) -> Refused:
    """Return the refusal of more than a limit allows, which is a key of the config.

    `received` is what there was when counting stopped.
    """
    return refuse(
        f"{limit} allows {allowed} {what}; received at least {received}",
        code="too-complex",
        limit=limit,
        allowed=allowed,
        received=received,
    )


def refuse_size(what: str, limit: str, *, allowed: int, received: int) -> Refused:
    """Return the refusal of more bytes than a limit allows, which is a key of the config."""
    return refuse(
        f"{limit} allows {allowed} bytes of {what}; received {received}",
        code="too-large",
        status=413,
        limit=limit,
        allowed=allowed,
        received=received,
    )
