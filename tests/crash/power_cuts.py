"""A recorded broker, and power cuts at chosen moments of it."""

import asyncio
import shutil
from collections import defaultdict
from contextlib import closing
from pathlib import Path
from random import Random

from crash.power_disk import OUTCOMES, Disk
from crash.power_load import History, run_load
from crash.power_verdict import answers, connect, holds, read_states, recover
from crash.recording import STRACE, Recorded, Send, Sync, Write
from injection import demand_strace

PHASES = {"creation", "load", "checkpoint", "log restart", "between runs", "shutdown"}
"""What a broker that was stopped and started again was about, at one time or another."""

AFTER_LOG_RESTART = 40
"""Events for which the log still has little of its new frames and much of the old ones."""


class Recording:
    """Some runs of a broker, what they did to its disk, and what was asked and answered."""

    def __init__(self, directory, *, durability, ends, **load):
        demand_strace(STRACE)
        self.durability = durability
        self.history = History()
        broker = Recorded(directory, durability=durability)
        try:
            asyncio.run(run_load(broker, self.history, **load))
            for end in ends[:-1]:
                broker.end(end)
                broker.start()
                asyncio.run(run_load(broker, self.history, **load))
        finally:
            broker.end(ends[-1])
        self.root, self.store = broker.log.root, str(broker.store)
        self.events = broker.log.events
        self.answers = answers(self.events, self.history)

    async def cut(self, directory, count):
        """Cut the power at so many moments; return what was answered before one and is lost."""
        rng = Random(count)
        cuts = self._choose(count, rng)
        disk = Disk(self.root)
        lost = {}
        for number, event in enumerate(self.events):
            if number in cuts:
                outcome = rng.choice(list(OUTCOMES))
                image = directory / f"{number} {outcome}"  # it stays if it is not recovered
                self._write(disk.after_power_cut(outcome, rng), image)
                try:
                    held = await recover(self._path(image), self.durability, self.history)
                except Exception as error:
                    error.add_note(f"what the power cut left is in {image}")
                    raise
                shutil.rmtree(image)
                answered = {request for request, at in self.answers.items() if at < number}
                if answered - held:
                    lost[image.name] = answered - held
            disk.apply(number, event)
        return lost

    def _choose(self, count, rng):
        """Choose as many moments of each phase, and the rest from all."""
        phases = self._phases()
        assert set(phases) == PHASES
        chosen = set()
        for numbers in phases.values():
            chosen.update(rng.sample(numbers, min(count // len(phases), len(numbers))))
        others = sorted(set(range(len(self.events))) - chosen)
        return chosen.union(rng.sample(others, count - len(chosen)))

    def _phases(self):
        """Return the numbers of the events by what the broker was about."""
        sends = [number for number, event in enumerate(self.events) if isinstance(event, Send)]
        first = {self.events[number].connection[0]: number for number in reversed(sends)}
        last = {self.events[number].connection[0]: number for number in sends}
        phases = defaultdict(list)
        is_checkpoint, restarted = False, -AFTER_LOG_RESTART
        for number, event in enumerate(self.events):
            if isinstance(event, Write | Sync) and event.path == self.store:
                is_checkpoint = isinstance(event, Write)
            if isinstance(event, Write) and (event.path, event.offset) == (self.store + "-wal", 0):
                restarted = number
            if number < sends[0]:
                phase = "creation"
            elif number > sends[-1]:
                phase = "shutdown"
            elif not any(first[run] <= number <= last[run] for run in first):
                phase = "between runs"
            elif is_checkpoint:
                phase = "checkpoint"
            elif number - restarted < AFTER_LOG_RESTART:
                phase = "log restart"
            else:
                phase = "load"
            phases[phase].append(number)
        return phases

    def answered_too_early(self, directory, *, without=None):
        """Return the requests whose answer began to leave before all they did was durable.

        `without` is the number of an event that shall not have happened.
        """
        disk = Disk(self.root)
        answered = defaultdict(list)
        for request, at in self.answers.items():
            answered[at].append(request)
        states, early, is_new = {}, [], True
        for number, event in enumerate(self.events):
            for request in answered.get(number, ()):
                if is_new and not holds(self.history, states, request):
                    self._write(disk.after_power_cut("dropped", Random()), directory)
                    with closing(connect(self._path(directory))) as sql:
                        states = read_states(sql)
                    is_new = False
                if not holds(self.history, states, request):
                    early.append(request)
            if number != without:
                disk.apply(number, event)
                is_new = is_new or isinstance(event, Sync)
        return early

    def _path(self, image):
        return image / Path(self.store).relative_to(self.root)

    def _write(self, content, image):
        """Write the files of a disk."""
        files = {image / Path(path).relative_to(self.root): data for path, data in content.items()}
        for stale in set(image.rglob("broker.db*")) - set(files):
            stale.unlink()
        for path, data in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
