"""One run of `broker publish`: it publishes, and tells what came of it."""

from __future__ import annotations

import shlex

from broker.cli.client import Away, Refused
from broker.cli.lines import Batch, Source, batches, read_lines
from broker.cli.output import counted, progress
from broker.cli.publisher import Published, Publisher
from broker.commands import print_json, remark
from broker.errors import BrokerError


class Publication:
    """What is published with one command; with `as_json`, each acknowledged batch is a line."""

    def __init__(self, publisher: Publisher, queue: str, *, as_json: bool) -> None:
        self._publisher = publisher
        self._queue = queue
        self._as_json = as_json
        self._in_hand: Batch | None = None
        self._read = 0

    def publish_one(self, body: bytes) -> None:
        """Publish a single message."""
        [result] = self._publish(Batch(1, [body]))
        if result.duplicate:
            remark(f"{self._queue} got this before, as message {result.message_id}")
        else:
            remark(f"published message {result.message_id} to {self._queue}")

    def publish_lines(self, source: Source, *, name: str, size: int | None) -> None:
        """Publish each line of `source`; if not all of them, say exactly how many.

        `name` is what the advice calls the source, `size` how many bytes it has, if that is known.
        """
        try:
            with progress(self._queue, size) as advance:
                for batch in batches(read_lines(source), overhead=self._publisher.overhead):
                    self._publish(batch)
                    advance(len(batch.lines), batch.size + len(batch.lines))
        except (BrokerError, OSError, KeyboardInterrupt) as error:
            self._tell_unfinished(name, error)
            raise
        remark(f"published {counted(self._publisher.acknowledged)} to {self._queue}")

    def _publish(self, batch: Batch) -> list[Published]:
        self._in_hand = batch
        self._read += len(batch.lines)
        results = self._publisher.publish(batch)
        self._in_hand = None
        if self._as_json:
            ids = [result.message_id for result in results]
            print_json({"queue": self._queue, "first": batch.first, "message_ids": ids})
        return results

    def _tell_unfinished(self, name: str, error: BaseException) -> None:
        done = self._publisher.acknowledged
        following = f"line {done + 1} and what follows were not acknowledged"
        if self._in_hand is not None:
            if isinstance(error, KeyboardInterrupt) or (isinstance(error, Away) and error.unsure):
                following += f" (but some up to line {self._read} may be stored)"
            if isinstance(error, Refused) and "too-large" in error.problem_code:
                number, size = self._in_hand.longest()
                remark(f"the longest of the lines that were refused is {number}: {size} bytes")
        remark(
            f"published {done} of at least {self._read} lines; {following}; continue with: "
            f"tail -n +{done + 1} {shlex.quote(name)} | broker publish {self._queue} --lines"
        )
