"""Clients that go away, or take nothing, and servers that cancel: no task is left behind."""

import asyncio
import json

import pytest
from asgi import DISCONNECT, Bench, no_task_is_left, part, settle
from misbehaving import odd_errors

from broker import client
from broker.errors import FieldError, Invalid, Rejected, Unauthenticated
from broker.http import Response


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

    assert (ended, bench.sent) == ([True], [])
    assert bench.served.requests() == {("POST", "/things/{thing}/do", "499"): 1}
    assert bench.served.durations.read() == {}
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


@pytest.mark.parametrize(**odd_errors)
async def test_whatever_a_handler_raises_is_its_500(error, caplog):
    async def handler(_):
        raise error

    bench = Bench(handler)
    status, _, body = await bench.ask(part())

    assert status == 500
    assert b"secret" not in body
    assert bench.broker.failures == {("acme", "answer"): 1}
    [line] = caplog.messages
    request_id = json.loads(body)["request_id"]
    assert line == f'plugin "acme" failed to answer request {request_id}'


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


async def test_a_connection_that_timed_out_took_no_answer():
    async def send(_):
        raise TimeoutError

    bench = Bench(lambda request: giving(bench)(request))
    bench.send = send
    await bench.begin(part())

    assert bench.undelivered == [True]


@pytest.mark.parametrize(**odd_errors)
async def test_whatever_taking_back_raises_is_heard_by_nobody(error):
    async def undelivered():
        raise error

    async def handler(_):
        return Response(body=b"leased", undelivered=undelivered)

    bench = Bench(handler, gives=True)
    bench.sending.clear()
    task = bench.begin(part())
    await settle()
    bench.incoming.put_nowait(DISCONNECT)
    await task

    if not isinstance(error, asyncio.CancelledError):  # which the client's going is, too
        assert bench.broker.failures == {("acme", "take back an answer"): 1}


@pytest.mark.parametrize(
    ("answer", "logged"),
    [
        (None, "no Response was returned, but NoneType"),
        ({"status": 200}, "no Response was returned, but dict"),
        (Response, "no Response was returned, but StructMeta"),
        (Response(status=99), "99 is no status of an answer"),
        (Response(status=1000), "1000 is no status of an answer"),
        (Response(body="text"), "the body of a response is bytes, and its headers are a tuple"),
        (Response(headers=(("a", "b\r\nc: d"),)), 'the value of the header "a" cannot be sent'),
    ],
)
async def test_what_is_no_answer_is_its_routes_500(answer, logged, caplog):
    async def handler(_):
        return answer

    bench = Bench(handler)
    status, headers, body = await bench.ask(part())

    assert (status, headers[b"content-type"]) == (500, b"application/problem+json")
    assert logged in caplog.text
    assert logged.encode() not in body
    assert bench.broker.failures == {("acme", "answer"): 1}


async def test_what_an_unsound_answer_gave_away_comes_back():
    async def handler(_):
        return Response(status=99, undelivered=bench.give_back)

    bench = Bench(handler)
    await bench.ask(part())

    assert bench.undelivered == [True]


async def test_an_error_that_cannot_be_told_is_a_500(caplog):
    class Odd(Rejected):
        retry_after = float("nan")

    async def handler(_):
        raise error

    for error in (
        Odd("no"),
        Unauthenticated(challenge="a\r\nb: c"),
        Invalid([FieldError("a", "b", object())]),
    ):
        bench = Bench(handler)
        status, headers, _ = await bench.ask(part())

        assert status == 500
        assert b"b" not in headers
        assert bench.broker.failures == {("acme", "answer"): 1}


async def test_nothing_of_how_an_answer_ends_is_for_its_handler_to_say():
    async def handler(_):
        framing = ("Content-Length", "Transfer-Encoding", "CONNECTION", "X-Request-Id", "Upgrade")
        return Response(body=b"four", headers=tuple((name, "7") for name in framing))

    _, headers, _ = await Bench(handler).ask(part(), headers=[(b"x-request-id", b"mine")])

    assert headers == {b"content-length": b"4", b"x-request-id": b"mine"}
