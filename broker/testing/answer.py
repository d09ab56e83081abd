"""What a client of a test is answered."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec


class Answer(msgspec.Struct, frozen=True):
    """What the broker answered."""

    status: int
    """The status code of HTTP."""
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    """The whole of it."""

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()

    def json(self) -> Any:
        """Return what the body says as JSON."""
        return json.loads(self.body)


class RefusedError(AssertionError):
    """An answer that a test did not expect."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"the broker answered {answer.status}: {answer.body.decode()}")
        self.answer = answer
        """What came."""
