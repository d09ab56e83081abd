"""Programs: whatever is called in whatever order, the memory storage knows the answer."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable
from itertools import count
from pathlib import Path

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from broker.testing.storage.bench import Workbench
from broker.testing.storage.machine import Machine

EXAMPLES, STEPS = "BROKER_MACHINE_EXAMPLES", "BROKER_MACHINE_STEPS"


class Programs:
    """The row that holds all the others together."""

    make_bench: Callable[[Path], Workbench]

    def test_any_program_is_answered_as_the_memory_storage_answers_it(self, tmp_path: Path) -> None:
        new = tmp_path / "new"
        new.mkdir()
        numbers = count()

        def machine() -> Machine:
            folder = tmp_path / str(next(numbers)) / "data"
            # To copy a new store is much faster than to make one, which takes many fsyncs.
            shutil.copytree(new, folder)
            return Machine(self.make_bench(folder), folder.parent, runner.get_loop())

        with asyncio.Runner() as runner:
            runner.run(_open_once(self.make_bench(new)))
            run_state_machine_as_test(machine, settings=budget())  # type: ignore[arg-type]  # "a class or a function", it says


async def _open_once(bench: Workbench) -> None:
    async with bench:
        pass


def budget() -> settings:
    """Return how much to try: 200 programs of 50 steps, always the same ones.

    For more, set `BROKER_MACHINE_EXAMPLES` and `BROKER_MACHINE_STEPS` in the environment: so many
    programs of so many steps are then drawn at random.
    """
    return settings(
        max_examples=int(os.environ.get(EXAMPLES, "200")),
        stateful_step_count=int(os.environ.get(STEPS, "50")),
        derandomize=EXAMPLES not in os.environ,
        database=None,
        deadline=None,
        # A continuous integration turns it on; what it tells to decorate is not a test function.
        print_blob=False,
        # Without `explain`, which takes longer than it helps to see what differs.
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
