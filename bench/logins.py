"""Users who log in all at once, again and again: a process of its own, until it is ended.

It reads a job as JSON from stdin, and prints a line when the first of them was let in.
"""

from __future__ import annotations

import asyncio
import sys

import httpx
import msgspec


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """Who logs in where."""

    port: int
    users: list[str]
    password: str


def address(number: int) -> str:
    """Return one of the addresses of this machine: from each one may try so often only."""
    return f"127.0.{number // 250 + 1}.{number % 250 + 1}"


async def run(job: Job) -> None:
    """Log in until this is cancelled; raises an error for any answer that is not a success."""
    first = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        for number, user in enumerate(job.users):
            tasks.create_task(_log_in(job, user, address(number), first))
        await first.wait()
        sys.stdout.write("\n")
        sys.stdout.flush()


async def _log_in(job: Job, user: str, own: str, first: asyncio.Event) -> None:
    transport = httpx.AsyncHTTPTransport(local_address=own, verify=False)
    async with httpx.AsyncClient(transport=transport, timeout=None) as client:  # noqa: S113  # they wait for each other
        while True:
            form = {"username": user, "password": job.password}
            answer = await client.post(f"http://127.0.0.1:{job.port}/login", data=form)
            answer.raise_for_status()
            first.set()


if __name__ == "__main__":
    asyncio.run(run(msgspec.json.decode(sys.stdin.buffer.read(), type=Job)))
