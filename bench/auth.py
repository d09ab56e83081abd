"""What it costs to know who asks, and to check passwords beside."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import httpx
from broker_auth_jwt.accounts import make_accounts
from broker_auth_jwt.config import AuthConfig
from broker_auth_jwt.passwords import Passwords

from bench import logins
from bench.figures import Measured, Row, Sample, collect
from bench.load import Result
from bench.servers import Server, beside, broker

_LOAD = {"connections": 32, "answers": 6000, "warm_up": 300}
_MESSAGE = {"content": "x" * 100}
_PATH = "/queues/q/messages"
_PASSWORD = "correct horse battery staple"  # noqa: S105  # of users who exist while this runs
_CROWD = [f"crowd-{number}" for number in range(50)]
_TRIES = 40
"""How often each kind of user is refused in a round."""

_ROWS = (
    Row(name="single publish with a token / anonymous", at_least=0.87),
    Row(name="  with a token", unit="/s"),
    Row(name="  anonymous, without auth_jwt", unit="/s"),
    Row(name="publish p99 beside 50 logins / without", at_most=3),
    Row(name="  beside", unit="ms"),
    Row(name="  without", unit="ms"),
    Row(name="login of an unknown user / of a known", at_least=0.95, at_most=1.05),
    Row(name="  a wrong password", unit="ms"),
)


def measure(directory: Path, rounds: int) -> Iterator[Measured]:
    """Measure publishes with and without a token and beside logins, and logins that fail."""
    known = [f"known-{number}" for number in range(rounds * _TRIES)]
    guarded, plain = directory / "guarded", directory / "plain"
    for made in (guarded, plain):
        made.mkdir()
    asyncio.run(_make_users(guarded, ["publisher", *_CROWD, *known]))
    with (
        broker(guarded, plugins=("storage_sqlite", "auth_jwt")) as ours,
        broker(plain) as open_to_all,
    ):
        for server in (ours, open_to_all):
            server.make_queue("q")
        headers = {"authorization": f"Bearer {_log_in(ours)}"}
        tries = (known[start : start + _TRIES] for start in range(0, len(known), _TRIES))
        samples = (
            (
                *_publishes(ours, open_to_all, headers, is_first=bool(number % 2)),
                *_beside_logins(ours, headers),
                *_refusals(ours, users, number),
            )
            for number, users in enumerate(tries)
        )
        yield from collect(_ROWS, samples)


def _publishes(
    ours: Server, open_to_all: Server, headers: dict[str, str], *, is_first: bool
) -> Iterator[Sample]:
    def publish() -> Result:
        return ours.load(_PATH, _MESSAGE, headers=headers, **_LOAD)

    # By turns, for the machine is seldom the same for whoever comes second.
    known = publish() if is_first else None
    anonymous = open_to_all.load(_PATH, _MESSAGE, **_LOAD)
    known = known or publish()
    yield Sample(known.rate / anonymous.rate, known.cpu)
    yield Sample(known.rate, known.cpu)
    yield Sample(anonymous.rate, anonymous.cpu)


def _beside_logins(ours: Server, headers: dict[str, str]) -> Iterator[Sample]:
    without = ours.load(_PATH, _MESSAGE, headers=headers, **_LOAD)
    with beside("bench.logins", logins.Job(port=ours.port, users=_CROWD, password=_PASSWORD)):
        crowded = ours.load(_PATH, _MESSAGE, headers=headers, **_LOAD)
    yield Sample(crowded.p99 / without.p99, crowded.cpu)
    yield Sample(crowded.p99 * 1000, crowded.cpu)
    yield Sample(without.p99 * 1000, without.cpu)


def _refusals(ours: Server, users: list[str], number: int) -> Iterator[Sample]:
    known, unknown = [], []
    for index, user in enumerate(users):
        own = logins.address(number * _TRIES + index + len(_CROWD))
        unknown.append(_refused(ours, f"un{user}", own))
        known.append(_refused(ours, user, own))
    yield Sample(median(unknown) / median(known))
    yield Sample(median(known) * 1000)


def _refused(ours: Server, user: str, own: str) -> float:
    """Return how many seconds a wrong password took."""
    transport = httpx.HTTPTransport(local_address=own, verify=False)
    with httpx.Client(transport=transport) as client:
        start = time.perf_counter()
        form = {"username": user, "password": "wrong " + _PASSWORD}
        answer = client.post(f"http://127.0.0.1:{ours.port}/login", data=form)
        seconds = time.perf_counter() - start
    if answer.status_code != httpx.codes.UNAUTHORIZED:
        raise RuntimeError(answer.text)
    return seconds


def _log_in(ours: Server) -> str:
    form = {"username": "publisher", "password": _PASSWORD}
    answer = httpx.post(f"http://127.0.0.1:{ours.port}/login", data=form)
    answer.raise_for_status()
    token: str = answer.json()["access_token"]
    return token


async def _make_users(directory: Path, names: list[str]) -> None:
    accounts, passwords = make_accounts(AuthConfig(), directory), Passwords()
    await passwords.open()
    password_hash = await passwords.hash(_PASSWORD)
    await passwords.close()
    await accounts.open()
    for name in names:
        await accounts.users.add(
            name, password_hash=password_hash, grants=["publish:q"], now=time.time_ns() // 1_000_000
        )
    await accounts.close()
