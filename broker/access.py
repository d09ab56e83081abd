"""The log of requests: a line for each answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from broker.http import Request, Response, Route
from broker.logs.lines import Answered, Tell
from broker.translation import Translator
from broker.turn import CURRENT_TURN

if TYPE_CHECKING:
    from broker.engine import Broker


class TellingTranslator(Translator):
    """A translator that tells of each answer; where nobody wants that, there is the other one, and
    nothing is paid for it."""

    def __init__(self, broker: Broker, owners: Mapping[Route, str], tell: Tell) -> None:
        super().__init__(broker, owners)
        self._tell = tell
        self._now = broker.clock.now

    def count(
        self, name: str, response: Response, request: Request, seconds: float = 0
    ) -> Response:
        """Count an answer, and tell of it."""
        turn = CURRENT_TURN.get()
        self._tell(
            Answered(
                at=self._now(),
                request_id=request.request_id,
                method=request.method,
                route=name,
                status=response.status,
                seconds=seconds,
                peer=request.peer,
                identity=None if turn is None else turn.identity,
                queue=request.params.get("queue"),
                path=None if " " in name else request.path,  # no route was found, say
            )
        )
        return super().count(name, response, request, seconds)
