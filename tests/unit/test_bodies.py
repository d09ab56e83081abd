"""What is read of bodies: how much, how long, of whom, and of all together."""

import asyncio
import json
import tracemalloc

import pytest
from asgi import DISCONNECT, Bench, part

from broker import bodies
from broker.auth import Identity
from broker.errors import Unauthenticated
from broker.http import Response
from broker.limits import MAX_BATCH_BYTES, MAX_SMALL_BODY_BYTES

SMALL = b"x" * MAX_SMALL_BODY_BYTES
LIMIT = 10 * MAX_SMALL_BODY_BYTES


def announced(size):
    return [(b"content-length", b"%d" % size)]


async def size_of(request):
    return Response(body=b"%d" % len(request.body))


def large(**options):
    return Bench(size_of, max_body=LIMIT, **options)


async def settle():
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_body_in_parts_is_joined():
    *_, body = await Bench().ask(part(b"on", True), part(b"", True), part(b"e", True), part())

    assert body == b"one"


@pytest.mark.parametrize("limit", [10, MAX_SMALL_BODY_BYTES, MAX_BATCH_BYTES])
async def test_a_body_that_is_as_large_as_its_route_takes_is_taken(limit):
    status, _, body = await Bench(size_of, max_body=limit).ask(part(b"x" * limit))

    assert (status, body) == (200, b"%d" % limit)


@pytest.mark.parametrize("limit", [10, MAX_SMALL_BODY_BYTES, MAX_BATCH_BYTES])
@pytest.mark.parametrize(
    "sent",
    [
        lambda limit: ([part(b"x" * (limit + 1))], []),
        lambda limit: ([part(b"x" * limit, True), part(b"x", True)], []),
        lambda limit: ([], announced(limit + 1)),
    ],
    ids=["at once", "in parts, of which more would follow", "announced"],
)
async def test_a_body_that_is_too_large_is_refused_at_once_and_the_connection_closed(limit, sent):
    incoming, headers = sent(limit)
    bench = Bench(max_body=limit)
    status, answered, body = await bench.ask(*incoming, headers=headers)

    problem = json.loads(body)
    assert (status, problem["code"]) == (413, "too-large")
    assert problem["detail"] == f"the body exceeds {limit} bytes"
    assert answered[b"connection"] == b"close"
    assert bench.served.requests() == {("POST", "/things/{thing}/do", "413"): 1}


async def test_what_a_chunked_body_announces_counts_for_nothing():
    headers = [*announced(2**40), (b"transfer-encoding", b"chunked")]
    status, *_ = await Bench().ask(part(b"x"), headers=headers)

    assert status == 200


@pytest.mark.parametrize(
    ("incoming", "headers"),
    [
        ([part(SMALL + b"x", True), part()], []),
        ([part(SMALL, True), part(b"x", True), part()], []),
        ([part(SMALL + b"x")], []),
        ([part(SMALL + b"x")], announced(len(SMALL) + 1)),
    ],
    ids=["in parts", "by its second part", "at once", "announced"],
)
async def test_who_sends_a_large_body_is_identified_first_and_once(incoming, headers):
    bench = large()
    credentials = (b"authorization", b"Bearer token")
    status, _, body = await bench.ask(*incoming, headers=[*headers, credentials])

    assert (status, body) == (200, b"%d" % (len(SMALL) + 1))
    [identified] = bench.identified
    assert (identified.scheme, identified.token) == ("bearer", "token")


async def test_who_sends_a_small_body_is_not_identified_here():
    bench = large()
    await bench.ask(part(SMALL), headers=announced(len(SMALL)))

    assert bench.identified == []


@pytest.mark.parametrize(
    ("incoming", "headers", "read"),
    [
        ([part(b"x", True), part()], announced(len(SMALL) + 1), 0),
        ([part(SMALL, True), part(b"x", True), part(b"more", True), part()], [], 2),
    ],
    ids=["announced", "in parts"],
)
async def test_what_a_stranger_sends_beyond_a_small_body_stays_unread(incoming, headers, read):
    async def refuse(*_, peer):
        assert peer == "203.0.113.7"
        raise Unauthenticated

    bench = large()
    bench.broker.identify = refuse
    status, answered, body = await bench.ask(*incoming, headers=headers)

    assert (status, json.loads(body)["code"]) == (401, "unauthenticated")
    assert answered[b"www-authenticate"] == b"Bearer"
    assert answered[b"connection"] == b"close"
    assert bench.incoming.qsize() == len(incoming) - read
    assert bench.served.requests() == {("POST", "/things/{thing}/do", "401"): 1}


async def test_a_stranger_is_told_what_it_takes_to_send_a_large_body():
    async def refuse(*_, peer):
        raise Unauthenticated

    bench = large()
    bench.broker.identify = refuse
    signed = (b"x-hub-signature-256", b"sha256=")
    _, _, body = await bench.ask(headers=[*announced(len(SMALL) + 1), signed])

    assert json.loads(body)["detail"] == (
        "credentials are missing: of a body, no more than 65536 bytes are read before the header "
        "Authorization says who sends it"
    )


async def test_bad_credentials_of_a_large_body_are_refused_as_by_any_handler():
    headers = [*announced(len(SMALL) + 1), (b"authorization", b"Bearer")]
    status, _, body = await large().ask(headers=headers)

    assert (status, json.loads(body)["code"]) == (401, "unauthenticated")


@pytest.fixture
def small_memory(monkeypatch):
    """What one may have is two bodies' small size beyond the small size."""
    monkeypatch.setattr(bodies, "MAX_LARGE_BYTES", 4 * len(SMALL))


def begin_large(bench, size, **scope):
    """Send a body beyond the small size, all but its end."""
    return bench.begin(part(SMALL, True), part(b"x" * size, True), **scope)


def everybody():
    """A bench whose clients are identified by their tokens."""
    bench = large()

    async def identify(credentials, *, peer):
        if credentials is None:
            return Identity(subject="anonymous", peer=peer, is_anonymous=True)
        return Identity(subject=credentials.token, peer=peer)

    bench.broker.identify = identify
    return bench


def by(subject):
    return {"headers": [(b"authorization", b"Bearer " + subject)]}


def at(address):
    return {"client": (address, 5)}


@pytest.mark.parametrize(
    ("first", "same", "another", "third"),
    [
        (by(b"a"), {**by(b"a"), **at("203.0.113.8")}, by(b"b"), by(b"c")),
        (at("2001:db8::1"), at("2001:db8::2"), at("2001:db8:0:1::1"), at("203.0.113.7")),
    ],
    ids=["identities", "anonymous addresses"],
)
async def test_large_bodies_share_what_memory_there_is_and_none_has_more_than_half(
    small_memory, first, same, another, third
):
    bench = everybody()
    waiting = [begin_large(bench, 2 * len(SMALL), **first)]
    await settle()
    bench.incoming = asyncio.Queue()
    status, headers, body = await bench.ask(part(SMALL, True), part(b"x", True), **same)

    assert (status, json.loads(body)["code"]) == (503, "overloaded")
    assert headers[b"retry-after"] == b"1"
    assert headers[b"connection"] == b"close"

    bench.incoming = asyncio.Queue()
    waiting.append(begin_large(bench, 2 * len(SMALL), **another))
    await settle()
    bench.incoming = asyncio.Queue()
    status, *_ = await bench.ask(part(SMALL, True), part(b"x", True), **third)

    assert status == 503
    assert not any(each.done() for each in waiting)
    for each in waiting:
        each.cancel()


async def test_small_bodies_are_taken_whatever_the_large_ones_take(small_memory):
    bench = large()
    waiting = begin_large(bench, 2 * len(SMALL))
    await settle()
    bench.incoming = asyncio.Queue()
    status, *_ = await bench.ask(part(SMALL))

    assert status == 200
    waiting.cancel()


async def test_to_announce_a_large_body_takes_nothing(small_memory):
    bench = large()
    waiting = [bench.begin(headers=announced(LIMIT)) for _ in range(100)]
    await settle()
    bench.incoming = asyncio.Queue()
    status, *_ = await bench.ask(part(b"x" * 3 * len(SMALL)))

    assert status == 200
    for each in waiting:
        each.cancel()


@pytest.mark.parametrize(
    "last",
    [part(), DISCONNECT, part(b"x" * LIMIT), part(b"x" * len(SMALL), True)],
    ids=["answered", "gone", "too large", "too much"],
)
async def test_what_a_request_took_is_given_back_when_it_is_over(small_memory, last):
    bench = large()
    for _ in range(5):
        task = begin_large(bench, 2 * len(SMALL))
        bench.incoming.put_nowait(last)
        await task
        bench.incoming = asyncio.Queue()
    bench.sent.clear()
    status, *_ = await bench.ask(part(b"x" * 3 * len(SMALL)))

    assert status == 200


async def test_what_is_refused_counts_no_more_while_its_answer_is_sent(small_memory):
    bench = large()
    bench.sending.clear()
    refused = begin_large(bench, 2 * len(SMALL))
    bench.incoming.put_nowait(part(b"x", True))
    await settle()
    assert not refused.done()
    bench.incoming = asyncio.Queue()
    taken = bench.begin(part(b"x" * 3 * len(SMALL)))
    await settle()
    bench.sending.set()
    await asyncio.gather(refused, taken)

    assert [sent["status"] for sent in bench.sent if "status" in sent] == [503, 200]


async def test_a_body_counts_as_long_as_its_handler_works(small_memory):
    go_on = asyncio.Event()

    async def work(_):
        await go_on.wait()
        return Response()

    bench = Bench(work, max_body=LIMIT)
    first = bench.begin(part(b"x" * 3 * len(SMALL)))
    await settle()
    statuses = []
    for _ in range(2):
        status, *_ = await bench.ask(part(b"x" * 3 * len(SMALL)))
        statuses.append(status)
        go_on.set()
        await asyncio.wait([first])
        bench.sent.clear()

    assert statuses == [503, 200]


async def test_a_body_in_tiny_parts_takes_no_more_than_one_in_one_piece():
    parts = 100_000
    bench = Bench(size_of, max_body=MAX_BATCH_BYTES)
    send = iter([part(b"ab", True)] * parts + [part()])

    async def receive():
        return next(send)

    bench.incoming.get = receive
    tracemalloc.start()
    *_, body = await bench.ask()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert body == b"%d" % (2 * parts)
    assert peak < 3 * 2 * parts


class Time:
    """The time of a loop, which stands still until it is told."""

    def __init__(self, monkeypatch):
        self.now = 1000.0
        self._timers = []
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(loop, "time", lambda: self.now)
        monkeypatch.setattr(loop, "call_at", lambda *timer: self._timers.append(timer))

    async def advance(self, seconds):
        await settle()
        self.now += seconds
        due = [callback for when, callback in self._timers if when <= self.now]
        self._timers = [timer for timer in self._timers if timer[0] > self.now]
        for callback in due:
            callback()
        await settle()


@pytest.mark.parametrize("size", [0, 1, 10])
async def test_a_body_that_does_not_come_is_408_after_14_seconds(monkeypatch, size):
    time = Time(monkeypatch)
    bench = Bench(size_of)
    task = bench.begin(part(b"x" * size, True))
    await time.advance(13.9)
    assert not task.done()
    await time.advance(0.1)
    await task

    start, end = bench.sent
    problem = json.loads(end["body"])
    assert (start["status"], problem["code"], problem["title"]) == (
        408,
        "request-timeout",
        "Request timeout",
    )
    assert (b"connection", b"close") in start["headers"]
    assert bench.served.requests() == {("POST", "/things/{thing}/do", "408"): 1}


async def test_a_byte_a_second_is_408_all_the_same(monkeypatch):
    time = Time(monkeypatch)
    bench = large()
    task = bench.begin()
    for second in range(14):
        assert not task.done(), second
        bench.incoming.put_nowait(part(b"x", True))
        await time.advance(1)
    await task

    assert bench.sent[0]["status"] == 408


async def test_a_large_body_is_waited_for_as_long_as_a_mebibyte_comes_in_14_seconds(monkeypatch):
    time = Time(monkeypatch)
    bench = Bench(size_of, max_body=MAX_BATCH_BYTES)
    task = bench.begin(headers=announced(MAX_BATCH_BYTES))
    for _ in range(15):
        bench.incoming.put_nowait(part(b"x" * bodies.PROGRESS_BYTES, True))
        await time.advance(14)
        assert not task.done()
    bench.incoming.put_nowait(part(b"x" * (bodies.PROGRESS_BYTES - 1), True))
    await time.advance(13.9)
    assert not task.done()
    await time.advance(0.1)
    await task

    assert bench.sent[0]["status"] == 408


async def test_the_broker_s_own_time_is_not_the_sender_s(monkeypatch):
    known = asyncio.Event()
    time = Time(monkeypatch)
    bench = large()

    async def identify(*_, peer):
        await known.wait()
        return Identity(subject="somebody")

    bench.broker.identify = identify
    task = begin_large(bench, 1)
    await time.advance(100)
    known.set()
    await settle()
    bench.incoming.put_nowait(part())
    await task

    assert bench.sent[0]["status"] == 200


async def test_a_client_that_goes_while_it_sends_a_large_body_asked_nothing():
    bench = large()
    task = begin_large(bench, 1)
    bench.incoming.put_nowait(DISCONNECT)
    await task

    assert bench.sent == []
    assert bench.served.requests() == {("POST", "/things/{thing}/do", "499"): 1}


TINY = b"x" * bodies.MAX_TINY_BODY_BYTES
KNOWN = by(b"somebody")


class Crowded(Bench):
    """One that knows those alone who send credentials, and has small bodies of a stranger and of
    one who is known that are more than there may be of all."""

    async def crowd(self):
        self.broker.identify = self._know
        self.largest = self.begin(part(SMALL[len(TINY) :], True))
        self.largest_incoming, self.incoming = self.incoming, asyncio.Queue()
        await settle()
        known = self.begin(part(2 * TINY, True), **by(b"another"))
        self.incoming = asyncio.Queue()
        await settle()
        assert not self.largest.done()
        assert not known.done()

    async def _know(self, credentials, *, peer):
        if credentials is None:
            raise Unauthenticated
        return Identity(subject=credentials.token, peer=peer)


@pytest.fixture
def crowded(monkeypatch):
    monkeypatch.setattr(bodies, "MAX_SMALL_BYTES", len(SMALL) - 1)
    monkeypatch.setattr(bodies, "MAX_LARGE_BYTES", 4 * len(TINY))
    return Crowded(size_of, max_body=LIMIT)


@pytest.mark.parametrize(
    ("incoming", "headers", "read"),
    [
        ([part(b"x", True), part()], announced(len(TINY) + 1), 0),
        ([part(TINY, True), part(b"x", True), part()], [], 2),
    ],
    ids=["announced", "in parts"],
)
async def test_while_small_bodies_take_much_strangers_send_tiny_ones(
    crowded, incoming, headers, read
):
    await crowded.crowd()
    status, answered, body = await crowded.ask(*incoming, headers=headers)

    assert (status, json.loads(body)["code"]) == (503, "overloaded")
    assert answered[b"retry-after"] == b"1"
    assert answered[b"connection"] == b"close"
    assert crowded.incoming.qsize() == len(incoming) - read

    crowded.incoming = asyncio.Queue()
    status, *_ = await crowded.ask(part(TINY, True), part(), headers=announced(len(TINY)))
    assert status == 200


async def test_a_stranger_s_body_that_takes_much_already_grows_no_more(crowded):
    await crowded.crowd()
    crowded.largest_incoming.put_nowait(part(b"", True))
    await crowded.largest

    assert crowded.sent[0]["status"] == 503


async def test_while_small_bodies_take_much_who_is_known_goes_on(crowded):
    await crowded.crowd()
    status, _, body = await crowded.ask(part(TINY, True), part(TINY, True), part(TINY), **KNOWN)

    assert (status, body) == (200, b"%d" % (3 * len(TINY)))


async def test_what_goes_on_then_is_a_share_of_what_there_is_for_large_ones(crowded):
    await crowded.crowd()
    status, *_ = await crowded.ask(part(3 * TINY, True), part(b"x"), **KNOWN)

    assert status == 503


async def test_a_large_body_of_a_stranger_is_401_however_much_small_ones_take(crowded):
    await crowded.crowd()
    status, *_ = await crowded.ask(headers=announced(len(SMALL) + 1))

    assert status == 401


@pytest.mark.parametrize("last", [part(), DISCONNECT, part(b"x" * LIMIT, True)])
async def test_small_bodies_that_are_over_take_nothing(crowded, last):
    await crowded.crowd()
    crowded.largest_incoming.put_nowait(last)
    await crowded.largest
    crowded.sent.clear()
    status, *_ = await crowded.ask(part(TINY, True), part(TINY, True), part(b"x"))

    assert status == 200
