"""The bench of the authorizer contract: an authorizer, and what it does while it answers."""

from __future__ import annotations

import inspect
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

from broker.auth import Action, Authorizer, Identity
from broker.errors import Unavailable
from broker.testing.opening import ProviderBench

Question: TypeAlias = tuple[Identity, Action, str | None]
"""Who, what, and with which queue; None for what concerns no queue."""

IO = frozenset({"open", "socket.connect", "sqlite3.connect", "subprocess.Popen", "time.sleep"})
"""What Python tells audit hooks of that takes time."""


class AuthorizerBench(ProviderBench[Authorizer]):
    """Asks an authorizer, and fails the test at what is neither an answer nor Unavailable."""

    def __init__(self, make: Callable[[], Authorizer]) -> None:
        super().__init__(make)
        self.authorizer = self.provider

    def permits(self, question: Question, of: Authorizer | None = None) -> bool:
        """Return the answer to a question."""
        return self._answer(question, (of or self.authorizer).permits, *question)

    def permits_some(self, identity: Identity, action: Action) -> bool:
        """Tell whether there may be a queue with which that is permitted."""
        return self._answer((identity, action), self.authorizer.permits_some, identity, action)

    def _answer(self, about: object, ask: Callable[..., bool], *question: Any) -> bool:
        try:
            answer = ask(*question)
        except Unavailable:
            raise
        except Exception as error:
            raised = f"it raised {type(error).__name__}, a 503, at {about}: {error}"
            raise AssertionError(raised) from error
        if inspect.iscoroutine(answer):
            answer.close()
        assert isinstance(answer, bool), f"it answered {type(answer).__name__} to {about}"
        return answer


@contextmanager
def noted() -> Iterator[list[str]]:
    """Collect what is done by this thread while the block runs that takes time."""
    waits: list[str] = []
    is_over = False
    thread = threading.get_ident()

    def note(event: str, _: object) -> None:
        if not is_over and event in IO and threading.get_ident() == thread:
            waits.append(event)

    sys.addaudithook(note)  # for good: Python takes none away
    try:
        yield waits
    finally:
        is_over = True
