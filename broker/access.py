"""What is known of each request when it is over: it is counted, and the log is told."""

from __future__ import annotations

from collections.abc import Callable

from broker.http import Request, Route
from broker.logs.lines import Answered, Tell
from broker.status import Served
from broker.turn import CURRENT_TURN

Place = tuple[str, str]
"""Where a request belongs: the method and the path of its route, as that is described."""

UNMATCHED: Place = ("*", "unmatched")
"""Where those belong that no route was found for. Their methods could be any word."""

GONE = 499
"""The status of a request whose client left before there was an answer; nginx calls it so, too."""


def place_of(route: Route) -> Place:
    """Return where the requests for a route belong."""
    return route.method, route.path


def untraced() -> None:
    """Return that there are no traces."""


class Access:
    """Counts requests and tells of each; where nobody wants to be told, that costs nothing."""

    def __init__(
        self,
        served: Served,
        now: Callable[[], int],
        tell: Tell | None,
        trace_id: Callable[[], str | None] = untraced,
    ) -> None:
        self._measure = served.durations.record
        self._count = served.others.add
        self._now = now
        self._tell = tell
        self._trace_id = trace_id

    def note(
        self,
        place: Place,
        status: int,
        request: Request,
        seconds: float = 0,
        *,
        is_measured: bool = False,
    ) -> None:
        """Take note that a request is over, and how it ended, after how long; `is_measured` if that
        is how long an answer took to make, and no refusal or loss of patience."""
        method, path = place
        if is_measured:
            self._measure(seconds, method, path, str(status))
        else:
            self._count(1, method, path, str(status))
        if self._tell is None:
            return
        turn = CURRENT_TURN.get()
        self._tell(
            Answered(
                at=self._now(),
                request_id=request.request_id,
                method=request.method,
                route=path,
                status=status,
                seconds=seconds,
                peer=request.peer,
                identity=None if turn is None else turn.identity,
                queue=request.params.get("queue"),
                path=None if path.startswith("/") else request.path,
                trace_id=self._trace_id(),
            )
        )
