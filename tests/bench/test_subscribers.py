"""Those who listen and publish: they count what came, and stop at whatever should not."""

import asyncio
import select
from collections import Counter
from contextlib import asynccontextmanager, closing, suppress

import pytest

from bench.subscribers import MARK, Job, _Audience, _quantile, run

HEAD = b"HTTP/1.1 200 \r\n\r\n: welcome\n\n"
EVENT = b"id: 1-1\n" + MARK + b"data: {}\n\n"
OK = b"HTTP/1.1 200 \r\ncontent-length: 2\r\n\r\n{}"


class Stage:
    """A server that tells all who listen of each publish."""

    def __init__(self, *, head=HEAD, answer=OK):
        self.head, self.answer = head, answer
        self.asked, self.published = [], []
        self.listeners, self._writers = [], []

    async def serve(self, reader, writer):
        self._writers.append(writer)
        while request := await self.read(reader):
            if request.startswith(b"GET "):
                self.asked.append(request)
                self.listeners.append(writer)
                writer.write(self.head)
            else:
                self.published.append(request)
                self.tell()
                writer.write(self.answer)

    async def read(self, reader):
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""
        length = head.partition(b"content-length: ")[2].split(b"\r")[0]
        return head + await reader.readexactly(int(length or 0))

    def tell(self, part=EVENT):
        for listener in self.listeners:
            listener.write(part)

    async def end(self):
        for writer in self._writers:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()


@asynccontextmanager
async def served(stage):
    async with await asyncio.start_server(stage.serve, "127.0.0.1", 0) as server:
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            await stage.end()


def job(port, **options):
    return Job(port=port, **{"subscribers": 1, "publishers": 1, "body": b"{}", **options})


async def test_everybody_is_told_of_everything_before_more_is_published(capsys):
    stage = Stage()
    async with served(stage) as port:
        result = await asyncio.to_thread(
            run, job(port, subscribers=3, publishers=2, seconds=0.1, path="/events?event=m*")
        )
    assert (
        stage.asked == [b"GET /events?event=m* HTTP/1.1\r\nhost: 127.0.0.1:%d\r\n\r\n" % port] * 3
    )
    assert len(stage.published) % 2 == 0
    assert result.told == 3 * len(stage.published)
    assert 0 < result.p50 <= result.p99
    assert capsys.readouterr().out == "\n"


async def test_what_is_told_before_the_clock_is_started_does_not_count():
    stage = Stage()
    async with served(stage) as port:
        result = await asyncio.to_thread(run, job(port, seconds=0.01, warm_up=0.01))
    assert 0 < result.told < len(stage.published)


async def test_at_a_rate_nothing_is_published_before_it_is_due():
    stage = Stage()
    async with served(stage) as port:
        result = await asyncio.to_thread(run, job(port, publishers=4, rate=100, seconds=0.05))
    assert 0 < result.told == len(stage.published) <= 6


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"head": b"HTTP/1.1 429 \r\n\r\n"}, "429"),
        ({"answer": b"HTTP/1.1 503 \r\n\r\n"}, "503"),
    ],
)
async def test_whatever_is_no_success_ends_the_run(options, problem):
    async with served(Stage(**options)) as port:
        with pytest.raises(RuntimeError, match=problem):
            await asyncio.to_thread(run, job(port, seconds=60))


async def test_who_only_listens_goes_on_until_the_server_ends_it():
    stage = Stage()
    async with served(stage) as port:
        listening = asyncio.ensure_future(asyncio.to_thread(run, job(port, publishers=0)))
        while not stage.listeners:
            await asyncio.sleep(0)
        stage.tell()
        await stage.end()
        with pytest.raises(RuntimeError, match="a subscription ended"):
            await listening


async def test_an_event_that_comes_in_parts_is_one():
    stage = Stage()
    with select.epoll() as poll, closing(_Audience(poll)) as audience:
        async with served(stage) as port:
            await asyncio.to_thread(audience.subscribe, job(port))
            [number] = audience._by_number
            for cut in range(1, len(EVENT)):
                audience.expect(0.0)
                assert audience.waits
                for part in (EVENT[:cut], EVENT[cut:]):
                    stage.tell(part)
                    assert poll.poll(10) == [(number, select.EPOLLIN)]
                    audience.read(number)
                assert audience.latencies.total() == cut
                assert not audience.waits


async def test_who_never_reads_reads_the_head_alone():
    stage = Stage()
    with select.epoll() as poll, closing(_Audience(poll)) as audience:
        async with served(stage) as port:
            await asyncio.to_thread(audience.subscribe, job(port, reads=False))
            stage.tell()
            [number] = audience._by_number
            assert select.select([number], [], [], 10)[0] == [number]
            assert poll.poll(0) == []


@pytest.mark.parametrize(
    ("latencies", "share", "seconds"),
    [({9: 1}, 0.5, 0.001), ({9: 50, 19: 50}, 0.5, 0.001), ({9: 98, 99: 2}, 0.99, 0.01)],
)
def test_a_quantile_is_the_end_of_the_part_of_a_second_that_it_is_in(latencies, share, seconds):
    assert _quantile(Counter(latencies), share) == seconds
