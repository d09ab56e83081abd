import asyncio

import pytest

from broker.deadlines import Deadlines, LateError, TimeLimit


class Bench:
    """Deadlines on a loop whose time stands still until it is told."""

    def __init__(self, monkeypatch, seconds=10):
        self.late = []
        self.timers = []
        self.now = 1000.0
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(loop, "time", lambda: self.now)
        monkeypatch.setattr(loop, "call_at", self.set_timer)
        self.deadlines = Deadlines(seconds, self.late.append)

    def set_timer(self, when, callback):
        self.timers.append((when, callback))

    def advance(self, seconds):
        self.now += seconds
        due = [callback for when, callback in self.timers if when <= self.now]
        self.timers = [timer for timer in self.timers if timer[0] > self.now]
        for callback in due:
            callback()


async def test_who_is_not_removed_in_time_is_late_once(monkeypatch):
    bench = Bench(monkeypatch)
    bench.deadlines.add("a")
    bench.advance(9)
    bench.deadlines.add("b")
    assert bench.late == []
    bench.advance(1)
    assert bench.late == ["a"]
    bench.advance(9)
    assert bench.late == ["a", "b"]
    bench.advance(100)
    assert bench.late == ["a", "b"]


async def test_who_is_removed_is_never_late(monkeypatch):
    bench = Bench(monkeypatch)
    bench.deadlines.add("a")
    bench.deadlines.remove("a")
    bench.deadlines.remove("never there")
    bench.advance(100)
    assert bench.late == []


async def test_there_is_one_timer_however_many_come_and_go(monkeypatch):
    bench = Bench(monkeypatch)
    for _ in range(100):
        bench.deadlines.add("a")
        bench.deadlines.remove("a")
    bench.deadlines.add("b")
    bench.deadlines.add("c")
    assert len(bench.timers) == 1


async def test_who_is_added_again_has_its_whole_time(monkeypatch):
    bench = Bench(monkeypatch)
    bench.deadlines.add("a")
    bench.advance(9)
    bench.deadlines.remove("a")
    bench.deadlines.add("a")
    bench.advance(9)
    assert bench.late == []
    bench.advance(1)
    assert bench.late == ["a"]


async def test_whoever_is_late_may_be_added_again(monkeypatch):
    bench = Bench(monkeypatch)
    bench.deadlines = Deadlines(10, lambda entry: bench.deadlines.add(entry + "a"))
    bench.deadlines.add("a")
    bench.advance(10)
    bench.deadlines.remove("aa")
    bench.advance(10)
    assert bench.timers == []


def test_a_loop_that_ended_with_a_timer_does_not_stop_the_next(monkeypatch):
    late = []
    deadlines = Deadlines(10, late.append)

    async def leave():
        deadlines.add("a")

    async def stay():
        bench = Bench(monkeypatch)
        deadlines.add("b")
        bench.advance(10)

    asyncio.run(leave())
    asyncio.run(stay())
    assert late == ["b"]


class Work:
    """What hangs until it is cancelled, and then does something of its own."""

    def __init__(self, then=None):
        self.then = then

    async def __call__(self):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if self.then is None:
                raise
            return self.then()


def fail():
    raise ValueError("on the way out")


async def test_what_is_done_in_time_answers():
    async def work():
        await asyncio.sleep(0)
        return "done"

    assert await TimeLimit(10).wait(work()) == "done"


@pytest.mark.parametrize("work", [Work(), Work(lambda: "too late"), Work(fail)])
async def test_what_is_late_is_cancelled_whatever_it_makes_of_it(work):
    limit = TimeLimit(0)
    for _ in range(2):
        with pytest.raises(LateError, match=r"^not done within 0 s$"):
            await limit.wait(work())

        assert asyncio.current_task().cancelling() == 0


async def test_who_is_cancelled_while_it_waits_is_not_late():
    waiting = asyncio.ensure_future(TimeLimit(10).wait(Work()()))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])

    assert waiting.cancelled()


async def test_who_is_cancelled_as_it_is_late_is_cancelled():
    limit = TimeLimit(0)
    waiting = []

    async def work():
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            waiting[0].cancel()
            raise

    waiting.append(asyncio.ensure_future(limit.wait(work())))
    await asyncio.wait(waiting)

    assert waiting[0].cancelled()


async def test_an_own_timeout_of_what_is_waited_for_is_its_own():
    async def work():
        raise TimeoutError("the network's")

    with pytest.raises(TimeoutError, match="^the network's$") as caught:
        await TimeLimit(10).wait(work())
    assert not isinstance(caught.value, LateError)


async def test_limits_within_limits_each_end_what_is_theirs():
    outer, inner = TimeLimit(10), TimeLimit(0)

    async def work():
        with pytest.raises(LateError):
            await inner.wait(Work()())
        return "went on"

    assert await outer.wait(work()) == "went on"
