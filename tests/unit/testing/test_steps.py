"""Counting what Python does."""

import subprocess
import sys

PROGRAM = """
import asyncio
from broker.testing.steps import python_steps

async def count():
    async with python_steps() as steps:
        sorted([3, 1, 2], key=lambda number: -number)
    return steps.taken

print(asyncio.run(count()), asyncio.run(count()))
"""


def test_the_first_count_of_a_process_is_that_of_the_second():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    first, second = done.stdout.split()
    assert int(first) == int(second) > 0
