"""Batches have something of the samples, and something of anything."""

from broker import NewMessage
from broker.testing.batches import batches_like
from broker.testing.drawing import for_all

SAMPLE = NewMessage(queue="orders", body=b"a sample", content_type="text/csv")


async def test_batches_have_something_of_the_samples_and_something_of_anything() -> None:
    drawn: list[NewMessage] = []

    async def check(batch: list[NewMessage]) -> None:
        drawn.extend(batch)

    await for_all(batches_like([SAMPLE]), check)
    assert {message.queue for message in drawn} == {"orders", "q"}
    bodies = {message.body for message in drawn}
    assert SAMPLE.body in bodies
    assert any(body != SAMPLE.body and body.startswith(b"a sa") for body in bodies)
    assert len(bodies) > 20
