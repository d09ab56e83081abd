"""The hot routes on bare ASGI: clients that go away, and what is left to the framework."""

import asyncio
import json

import pytest
from asgi import DISCONNECT, Bench, part

from broker import bodies, client, reception
from broker.http import Response
from broker.testing import ManualClock


async def settle():
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.fixture(autouse=True)
def no_task_is_left(monkeypatch):
    run = asyncio.run

    def run_and_look(main):
        async def looked():
            await main
            await settle()
            assert asyncio.all_tasks() == {asyncio.current_task()}

        return run(looked())

    monkeypatch.setattr(asyncio, "run", run_and_look)


async def test_a_handler_gets_the_request_and_its_answer_is_sent():
    async def handler(request):
        assert (request.method, request.path) == ("POST", "/v1/things/ü/do")
        assert request.params == {"thing": "ü"}
        assert request.query == {"a": ["1", ""], "b": ["\udcff"]}
        assert request.headers == {"x-request-id": "mine", "x-other": "\xe9"}
        assert (request.body, request.peer) == (b"body", "203.0.113.7")
        return Response(status=201, body=b"{}", headers=(("Location", "/here"),))

    bench = Bench(handler)
    status, headers, body = await bench.ask(
        part(b"body"),
        path="/v1/things/ü/do",
        query_string=b"a=1&a=&b=%ff",
        headers=[(b"x-request-id", b"mine"), (b"X-Other", b"\xe9")],
    )

    assert (status, body) == (201, b"{}")
    assert headers == {b"location": b"/here", b"content-length": b"2", b"x-request-id": b"mine"}
    assert bench.served.requests == {("POST /things/{thing}/do", 201): 1}


async def test_the_cookies_of_a_request_are_in_one_header_however_many_they_came_in():
    async def handler(request):
        return Response(body=request.headers["cookie"].encode("latin1"))

    cookies = [(b"cookie", b"a=1; b=2"), (b"x-other", b"x"), (b"Cookie", b"c=\xe9")]

    _, _, body = await Bench(handler).ask(part(), headers=cookies)

    assert body == b"a=1; b=2; c=\xe9"


async def test_no_content_has_no_length():
    async def handler(_):
        return Response(status=204)

    _, headers, _ = await Bench(handler).ask(part())

    assert set(headers) == {b"x-request-id"}


async def test_what_a_handler_raises_is_500():
    async def handler(_):
        raise ZeroDivisionError

    bench = Bench(handler)
    status, _, body = await bench.ask(part())

    assert (status, json.loads(body)["code"]) == (500, "internal")
    assert bench.served.last_error == ("ZeroDivisionError", ManualClock().now())


@pytest.mark.parametrize("incoming", [[DISCONNECT], [part(b"x", True), DISCONNECT]])
async def test_a_client_that_goes_before_its_body_is_whole_asked_nothing(incoming):
    async def handler(_):
        raise AssertionError("called")

    bench = Bench(handler)
    await bench.begin(*incoming)

    assert (bench.sent, bench.served.requests) == ([], {})


async def test_a_client_that_goes_while_its_handler_works_ends_the_handler():
    ended = []

    async def handler(_):
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    bench = Bench(handler, gives=True)
    task = bench.begin(part(), part(b"more than whole"))
    await settle()
    assert not task.done()
    bench.incoming.put_nowait(DISCONNECT)
    await task

    assert (ended, bench.sent, bench.served.requests) == ([True], [], {})
    assert task.cancelling() == 0


def giving(bench):
    async def handler(_):
        return Response(body=b"leased", undelivered=bench.give_back)

    return handler


async def test_an_answer_that_nobody_takes_is_undone():
    bench = Bench(lambda request: giving(bench)(request))
    bench.sending.clear()
    task = bench.begin(part())
    await settle()
    assert bench.undelivered == []
    bench.incoming.put_nowait(DISCONNECT)
    await task

    assert (bench.sent, bench.undelivered) == ([], [True])


@pytest.mark.parametrize("gives", [True, False])
async def test_one_who_went_before_the_answer_is_given_nothing_away(gives):
    bench = Bench(lambda request: giving(bench)(request), gives=gives)
    task = bench.begin(part(), DISCONNECT)
    await task

    assert (bench.sent, bench.undelivered, task.cancelling()) == ([], [True], 0)


async def test_nobody_looks_after_a_client_who_is_given_nothing():
    async def handler(_):
        await settle()
        return Response(body=b"done")

    bench = Bench(handler)
    *_, body = await bench.ask(part(), DISCONNECT)

    assert body == b"done"
    assert bench.incoming.get_nowait() == DISCONNECT


async def test_the_work_for_a_client_who_is_given_something_can_be_interrupted():
    async def handler(_):
        await asyncio.Event().wait()

    bench = Bench(handler, gives=True)
    await bench.begin(part(), DISCONNECT)

    assert bench.sent == []


async def test_an_answer_that_is_taken_is_not_undone():
    bench = Bench(lambda request: giving(bench)(request))
    *_, body = await bench.ask(part())

    assert (body, bench.undelivered) == (b"leased", [])


async def test_an_answer_that_is_taken_too_slowly_is_undone(monkeypatch):
    monkeypatch.setattr(client, "ANSWER_SECONDS", 0)
    bench = Bench(lambda request: giving(bench)(request))
    bench.sending.clear()
    await bench.begin(part())

    assert (bench.sent, bench.undelivered) == ([], [True])


async def test_an_answer_that_cannot_be_sent_is_undone_and_the_server_hears_why():
    async def send(_):
        raise ConnectionResetError

    bench = Bench(lambda request: giving(bench)(request))
    bench.send = send
    with pytest.raises(ConnectionResetError):
        await bench.begin(part())

    assert bench.undelivered == [True]


@pytest.mark.parametrize("incoming", [[], [part()]], ids=["body", "answer"])
async def test_a_server_that_cancels_is_obeyed(incoming):
    bench = Bench(lambda request: giving(bench)(request))
    bench.sending.clear()
    task = bench.begin(*incoming)
    await settle()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert bench.undelivered == [True] * len(incoming)


async def test_a_server_that_cancels_when_the_client_went_is_obeyed():
    bench = Bench(lambda request: giving(bench)(request))
    bench.sending.clear()
    task = bench.begin(part())
    await settle()
    bench.incoming.put_nowait(DISCONNECT)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_handler_that_cancels_itself_gives_no_answer():
    async def handler(_):
        raise asyncio.CancelledError

    bench = Bench(handler)
    await bench.begin(part())

    assert bench.sent == []


async def test_a_handler_that_goes_on_without_its_client_is_let():
    async def handler(_):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return Response(body=b"stubborn")

    bench = Bench(handler, gives=True)
    task = bench.begin(part())
    await settle()
    bench.incoming.put_nowait(DISCONNECT)
    await task

    assert bench.sent[-1]["body"] == b"stubborn"
    assert task.cancelling() == 0


@pytest.mark.parametrize(
    "scope",
    [
        {"type": "websocket"},
        {"type": "lifespan"},
        {"method": "GET"},
        {"method": "HEAD"},
        {"method": "post"},
        {"root_path": "/below"},
        {"path": ""},
        {"path": "/"},
        {"path": "things/1/do"},
        {"path": "//things/1/do"},
        {"path": "/things/1"},
        {"path": "/things/1/do/"},
        {"path": "/things/1/do/more"},
        {"path": "/things/1/2/do"},
        {"path": "/v2/things/1/do"},
        {"path": "/v1"},
    ],
)
async def test_what_is_not_surely_hot_is_left_to_the_framework(scope):
    bench = Bench()
    await bench.begin(part(), **scope)

    assert (bench.left_to_framework, bench.sent) == ([scope.get("type", "http")], [])


@pytest.mark.parametrize(
    "thing", ["", "..", "do", "things", "a\nb", "\x00", "{thing}", "%2F", "\udcff"]
)
async def test_a_variable_part_is_whatever_stands_between_two_slashes(thing):
    async def handler(request):
        assert request.params == {"thing": thing}
        return Response()

    status, *_ = await Bench(handler).ask(part(), path=f"/things/{thing}/do")

    assert status == 200


async def test_a_body_that_comes_too_slowly_for_a_server_that_cancels_is_no_answer(monkeypatch):
    monkeypatch.setattr(bodies, "PROGRESS_SECONDS", 0)
    bench = Bench()
    task = bench.begin(part(b"x", True))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert bench.sent == []


async def test_a_connection_that_timed_out_took_no_answer():
    async def send(_):
        raise TimeoutError

    bench = Bench(lambda request: giving(bench)(request))
    bench.send = send
    await bench.begin(part())

    assert bench.undelivered == [True]
