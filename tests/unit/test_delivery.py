import asyncio

import pytest

from broker import delivery, server
from broker.delivery import UNDELIVERED, Delivery
from broker.serving import with_hypercorn

START = {"type": "http.response.start", "status": 200, "headers": []}
END = {"type": "http.response.body", "body": b""}


def leasing_app(*events):
    undone = []

    async def undeliver():
        undone.append(True)

    async def app(scope, receive, send):
        scope[UNDELIVERED] = undeliver
        for event in events:
            await send(event)

    return Delivery(app), undone


async def no_receive():
    raise AssertionError("not asked for")


async def test_a_delivered_response_is_left_alone():
    app, undone = leasing_app(START, END)
    sent = []

    async def send(event):
        sent.append(event)

    await app({"type": "http"}, no_receive, send)

    assert (sent, undone) == ([START, END], [])


@pytest.mark.parametrize("events", [(), (START,), (START, {**END, "more_body": True})])
async def test_a_response_that_was_not_sent_whole_is_undone(events):
    app, undone = leasing_app(*events)

    async def send(event):
        pass

    await app({"type": "http"}, no_receive, send)

    assert undone == [True]


async def test_a_request_that_is_cancelled_while_it_sends_is_undone():
    app, undone = leasing_app(START, END)

    async def send(event):
        await asyncio.Event().wait()

    task = asyncio.ensure_future(app({"type": "http"}, no_receive, send))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert undone == [True]


def test_who_never_reads_is_gone_within_45_seconds():
    """From the first piece that is not taken until the connection is closed."""
    assert delivery.PIECE_SECONDS + with_hypercorn.FAREWELL_SECONDS <= 45
    assert delivery.PIECE_SECONDS + server.SILENT_SECONDS <= 45  # with granian the system closes it
