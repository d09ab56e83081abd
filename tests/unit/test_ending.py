"""Processes in which something does not end."""

import subprocess
import sys

PROGRAM = """
import asyncio, logging, sys, threading

from broker import ending

ending.END_SECONDS = 0
logging.basicConfig(format="%(message)s")

async def cling():
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            pass

async def run(last):
    {does}
    last.begin()

with ending.Ending() as last:
    asyncio.run(run(last))
"""


def end(does):
    program = PROGRAM.format(does=does)
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)


def test_a_task_that_goes_on_when_it_is_cancelled_is_named_and_ended():
    done = end("last.task = asyncio.create_task(cling()); await asyncio.sleep(0)")

    assert done.returncode == 1
    assert done.stderr.startswith("the broker did not end within 0 s and is ended now; ")
    assert "tasks cling > Event.wait" in done.stderr


def test_a_thread_that_is_stuck_is_named_and_ended():
    does = "asyncio.get_running_loop().run_in_executor(None, threading.Event().wait)"
    done = end(does + "; await asyncio.sleep(0)")

    assert done.returncode == 1
    assert "threads MainThread, asyncio_0\n" in done.stderr


def test_what_ends_by_itself_is_left_alone():
    done = end("ending.END_SECONDS = 3600")

    assert (done.returncode, done.stderr) == (0, "")
