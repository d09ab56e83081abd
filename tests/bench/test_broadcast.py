"""The bare app: whoever listens is sent every body."""

from bench.broadcast import OPENING, make_app


async def test_every_body_is_sent_to_all_who_listen():
    client = make_app().test_client()
    async with client.request("/events") as one, client.request("/events") as other:
        for listener in (one, other):
            await listener.send_complete()
            assert await listener.receive() == OPENING
        for body in (b"1", b"2"):
            answer = await client.post("/queues/q/messages", data=body)
            assert answer.status_code == 200
        for listener in (one, other):
            assert [await listener.receive(), await listener.receive()] == [b"1", b"2"]
            await listener.disconnect()
