"""The numbers of queues: of the busiest each by itself, of all others together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from broker import Meter, Overview

from broker_metrics.looking import Look, done_in, look
from broker_metrics.names import COUNTED, DESCRIPTIONS, HELD, STATES, Numbers, held_by, state_of

MOST = 200
"""How many queues have a label of their own. The others share one that no queue is called."""

Points = dict[tuple[str, ...], float]


class QueueNumbers:
    """Shows what queues hold and did.

    A queue with a label of its own shows its own totals, which go on when it loses the label and
    gets it again. The counters of `_other` add what was done that nobody sees by comparing those:
    before a queue had its label, and until one that is new was first looked at. So no counter goes
    back when other queues become busy, and rates add up to what was done.
    """

    def __init__(self, *, most: int = MOST) -> None:
        self._most = most
        self._last: Look | None = None
        self._shown: Look | None = None

    def show(self, meter: Meter) -> None:
        """Register all of it."""
        for name, description in DESCRIPTIONS.items():
            places = [
                (place, () if outcome is None else (outcome,))
                for place, (metric, outcome) in enumerate(COUNTED.values())
                if metric == name
            ]
            labels = ("queue", "outcome") if places[0][1] else ("queue",)
            meter.counted(name, description, partial(self._read_done, places), labels=labels)
        for place, (name, description) in enumerate(HELD.items()):
            meter.gauge(name, description, partial(self._read_held, place), labels=("queue",))
        for place, (name, description) in enumerate(STATES.items()):
            meter.gauge(name, description, partial(self._read_state, place), labels=("queue",))
        meter.gauge("queues", "Queues that there are.", self._count)

    def hide(self) -> None:
        """Show nothing: the queues cannot be looked at now."""
        self._shown = None

    async def look(self, overview: Overview) -> None:
        """Show the queues as they are in an overview; if this is cancelled, as they were."""
        if self._last is None or overview.at != self._last.at:
            self._last = await look(overview, self._last, most=self._most)
        self._shown = self._last

    def _read_done(self, places: Sequence[tuple[int, tuple[str, ...]]]) -> Points:
        return {
            (queue, *outcome): done[place]
            for queue, done in self._done()
            for place, outcome in places
        }

    def _done(self) -> Iterator[tuple[str, Numbers]]:
        """Yield what was done in queues, by their labels."""
        if self._shown is not None:
            yield from ((one.queue.name, done_in(one)) for one in self._shown.own.values())
            yield Meter.OTHER, self._shown.done

    def _read_held(self, place: int) -> Points:
        return {(queue,): held[place] for queue, held in self._held()}

    def _held(self) -> Iterator[tuple[str, Numbers]]:
        """Yield what queues hold, by their labels."""
        if (shown := self._shown) is not None:
            for one in shown.own.values():
                name = one.queue.name
                is_target = name in shown.dead_letter_queues
                yield name, held_by(one, shown.at, is_dead_letter_queue=is_target)
            yield Meter.OTHER, shown.held

    def _read_state(self, place: int) -> Points:
        if (shown := self._shown) is None:
            return {}
        return {
            (name,): state_of(one, is_dead_letter_queue=name in shown.dead_letter_queues)[place]
            for one in shown.own.values()
            for name in [one.queue.name]
        }

    def _count(self) -> Points:
        return {} if self._shown is None else {(): len(self._shown.queues)}
