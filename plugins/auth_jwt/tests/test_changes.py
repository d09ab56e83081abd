"""The number of changes: what another process did is known at the very next question."""

import asyncio
from typing import Any

import pytest

from broker import Closed, Unavailable
from broker_auth_jwt.postgresql import SharedCounter
from broker_auth_jwt.sqlite_file import FileCounter


async def prepare(accounts: Any) -> tuple[str, str]:
    await accounts.users.add("ann", password_hash="h", grants=["viewer"], now=1)
    token, _ = await accounts.service_tokens.create("ci", grants=[], now=1)
    await accounts.sessions.begin("s", user="ann", jti="a", now=1, expires_at=9)
    return "s", token.id


CHANGES = {
    "a new user": lambda a, *_: a.users.add("bob", password_hash="h", grants=[], now=2),
    "a new password": lambda a, *_: a.users.set_password("ann", "new", now=2),
    "disabling": lambda a, *_: a.users.set_disabled("ann", True, now=2),
    "enabling": lambda a, *_: a.users.set_disabled("ann", False, now=2),
    "a grant": lambda a, *_: a.users.grant("ann", ["producer"], now=2),
    "a role taken": lambda a, *_: a.users.revoke("ann", ["viewer"], now=2),
    "a logout": lambda a, session, _: a.sessions.revoke(session, now=2),
    "reuse": lambda a, session, _: a.sessions.rotate(
        session, old="x", new="y", now=2, expires_at=9
    ),
    "a token revoked": lambda a, _, token: a.service_tokens.revoke(token, now=2),
    "a rotation of keys": lambda a, *_: a.changes.increment(),
}

NO_CHANGES = {
    "a login": lambda a, *_: a.sessions.begin("t", user="ann", jti="b", now=2, expires_at=9),
    "a refresh": lambda a, session, _: a.sessions.rotate(
        session, old="a", new="b", now=2, expires_at=9
    ),
    "an attempt": lambda a, *_: a.attempts.begin("ann", "192.0.2.1", now=2),
    "a use": lambda a, _, token: a.service_tokens.note_used({token: 2}),
    "a new token": lambda a, *_: a.service_tokens.create("cd", grants=[], now=2),
    "a better hash": lambda a, *_: a.users.rehash("ann", old="h", new="i"),
    "cleaning": lambda a, *_: a.clean(99),
    "a question": lambda a, *_: a.users.find("ann"),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_a_change_by_another_process_is_seen_by_the_next_question(
    open_accounts, change: str
) -> None:
    async with open_accounts() as mine, open_accounts() as other:
        prepared = await prepare(other)
        before = await mine.changes.current()
        await CHANGES[change](other, *prepared)
        assert await mine.changes.current() == before + 1
        assert await mine.changes.current() == before + 1
        assert await other.changes.current() == before + 1


@pytest.mark.parametrize("event", NO_CHANGES)
async def test_what_takes_nothing_away_is_no_change(open_accounts, event: str) -> None:
    async with open_accounts() as mine, open_accounts() as other:
        prepared = await prepare(other)
        before = await mine.changes.current()
        await NO_CHANGES[event](other, *prepared)
        assert await mine.changes.current() == before


async def test_each_of_many_changes_is_seen_at_once_by_many_who_ask(open_accounts) -> None:
    async with open_accounts() as mine, open_accounts() as other:

        async def ask(times: int) -> None:
            for _ in range(times):
                known = committed
                assert await mine.changes.current() >= known

        committed = await mine.changes.current()
        askers = [asyncio.ensure_future(ask(50)) for _ in range(32)]
        for _ in range(20):
            await other.changes.increment()
            committed += 1
        await asyncio.gather(*askers)
        assert await mine.changes.current() == committed


async def test_the_number_survives_a_restart(open_accounts) -> None:
    async with open_accounts() as accounts:
        await accounts.changes.increment()
        number = await accounts.changes.current()
    async with open_accounts() as accounts:
        assert await accounts.changes.current() == number


async def test_nobody_is_answered_after_the_end(open_accounts) -> None:
    async with open_accounts() as accounts:
        assert await accounts.changes.current() >= 0
    with pytest.raises(Closed):
        await accounts.changes.current()


class Server:
    """Answers when the test says so."""

    def __init__(self) -> None:
        self.asked = 0
        self._questions: asyncio.Queue[asyncio.Future[int]] = asyncio.Queue()

    async def use(self, work: object) -> int:
        self.asked += 1
        answer = asyncio.get_running_loop().create_future()
        self._questions.put_nowait(answer)
        return await answer

    async def question(self) -> asyncio.Future[int]:
        """Return the next question once it is asked: a future for its answer."""
        return await self._questions.get()


async def ask(counter: SharedCounter) -> asyncio.Task[int]:
    """Return one who has come with a question, and waits for the answer."""
    has_come = asyncio.Event()

    async def read() -> int:
        has_come.set()  # seen by nobody before he waits in `read`
        return await counter.read()

    task = asyncio.ensure_future(read())
    await has_come.wait()
    return task


async def test_those_who_come_while_one_asks_share_the_next_question() -> None:
    server = Server()
    counter = SharedCounter(server)
    first = await ask(counter)
    question = await server.question()
    others = [await ask(counter) for _ in range(5)]
    question.set_result(1)
    assert await first == 1
    question = await server.question()
    assert not any(other.done() for other in others)  # the first was asked before they came
    last = await ask(counter)
    question.set_result(2)
    assert await asyncio.gather(*others) == [2] * 5
    question = await server.question()
    assert not last.done()
    question.set_result(3)
    assert await last == 3
    assert server.asked == 3


async def test_a_question_that_fails_fails_for_those_who_share_it_only() -> None:
    server = Server()
    counter = SharedCounter(server)
    first = await ask(counter)
    question = await server.question()
    second, third = await ask(counter), await ask(counter)
    question.set_exception(Unavailable("gone"))
    with pytest.raises(Unavailable):
        await first
    (await server.question()).set_result(7)
    assert await asyncio.gather(second, third) == [7, 7]


async def test_whoever_stops_asking_spoils_it_for_nobody() -> None:
    server = Server()
    counter = SharedCounter(server)
    first = await ask(counter)
    question = await server.question()
    second, third = await ask(counter), await ask(counter)
    first.cancel()
    second.cancel()
    await asyncio.gather(first, second, return_exceptions=True)
    question.set_result(1)
    (await server.question()).set_result(2)
    assert await third == 2
    assert server.asked == 2


async def test_a_file_that_cannot_be_read_is_no_answer(sqlite_path, caplog) -> None:
    sqlite_path.write_bytes(b"no database" * 1000)
    counter = FileCounter(sqlite_path)
    await counter.open()
    with pytest.raises(Unavailable) as refused:
        await counter.read()
    await counter.close()
    assert str(refused.value) == "tokens cannot be checked now; try again later"
    assert f"{sqlite_path} cannot be read: file is not a database" in caplog.text
