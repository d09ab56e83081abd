"""Mutations that publish."""

import pytest
from graphs import ADMIN, graph

from broker import MessageQuery

ONE = """
    mutation ($message: MessageInput!, $queue: String! = "q") {
        publishMessage(queue: $queue, message: $message) { messageId duplicate }
    }
"""
SOME = """
    mutation ($messages: [MessageInput!]!, $queue: String! = "q") {
        publishMessages(queue: $queue, messages: $messages) { messageId duplicate }
    }
"""


async def stored(one):
    return (await one.broker.browse(ADMIN, MessageQuery(queue="q"))).messages


def fields(result):
    [error] = result["errors"]
    assert error["extensions"]["code"] == "invalid"
    return [wrong["field"] for wrong in error["extensions"]["errors"]]


async def test_a_message_is_stored_as_it_was_sent(tmp_path):
    message = {
        "content": "hello",
        "contentType": "text/markdown",
        "headers": [{"name": "trace", "value": "7"}, {"name": "to", "value": ""}],
        "priority": 9,
        "delay": 1.5,
        "ttl": 60,
        "group": "g",
        "dedupKey": "k",
    }
    async with graph(tmp_path) as one:
        await one.make("q")
        now = one.clock.now()
        first = await one.data(ONE, message=message)
        again = await one.data(ONE, message=message)
        [found] = await stored(one)
    assert first == {"publishMessage": {"messageId": "1", "duplicate": False}}
    assert again == {"publishMessage": {"messageId": "1", "duplicate": True}}
    assert (found.body, found.content_type) == (b"hello", "text/markdown")
    assert found.headers == {"trace": "7", "to": ""}
    assert (found.priority, found.group, found.dedup_key) == (9, "g", "k")
    assert (found.visible_at, found.expires_at) == (now + 1500, now + 60_000)


@pytest.mark.parametrize(
    ("message", "body", "content_type"),
    [
        ({"content": "hé"}, "hé".encode(), "text/plain; charset=utf-8"),
        ({"content": ""}, b"", "text/plain; charset=utf-8"),
        ({"contentBase64": "AP8="}, b"\x00\xff", "application/octet-stream"),
        ({"contentBase64": ""}, b"", "application/octet-stream"),
        ({"contentBase64": "AP8=", "content": None}, b"\x00\xff", "application/octet-stream"),
    ],
)
async def test_the_body_is_text_or_bytes(tmp_path, message, body, content_type):
    async with graph(tmp_path) as one:
        await one.make("q")
        await one.data(ONE, message=message)
        [found] = await stored(one)
    assert (found.body, found.content_type, found.priority) == (body, content_type, 4)


NAMES = {"name": "a", "value": "1"}


@pytest.mark.parametrize(
    ("message", "wrong"),
    [
        ({}, ["content"]),
        ({"content": "x", "contentBase64": "eA=="}, ["content"]),
        ({"contentBase64": "a b"}, ["contentBase64"]),
        ({"contentBase64": "eA"}, ["contentBase64"]),
        ({"content": "x", "headers": [NAMES, NAMES]}, ["headers[1].name"]),
        ({"content": "x", "headers": [{"name": "", "value": "1"}]}, ["headers"]),
        ({"content": "x", "priority": 10, "ttl": 0}, ["priority", "ttl"]),
        ({"content": "x", "dedupKey": "", "contentType": "\n"}, ["contentType", "dedupKey"]),
    ],
)
async def test_what_is_wrong_with_a_message_is_named(tmp_path, message, wrong):
    async with graph(tmp_path) as one:
        await one.make("q")
        alone = fields(await one.ask(ONE, message=message))
        second = fields(await one.ask(SOME, messages=[{"content": "fine"}, message]))
        beside = fields(
            await one.ask(
                """
                mutation ($message: MessageInput!) {
                    settle(settlements: [], publish: [{ queue: "q", message: $message }]) {
                        published { messageId }
                    }
                }
                """,
                message=message,
            )
        )
        assert await stored(one) == []
    assert alone == [f"message.{field}" for field in wrong]
    assert second == [f"messages[1].{field}" for field in wrong]
    assert beside == [f"publish[0].message.{field}" for field in wrong]


async def test_a_queue_that_cannot_be_is_named_once(tmp_path):
    async with graph(tmp_path) as one:
        messages = [{"content": "x"}] * 3
        assert fields(await one.ask(SOME, messages=messages, queue="a b")) == ["queue"]
        assert fields(await one.ask(ONE, message=messages[0], queue="a b")) == ["queue"]


async def test_messages_are_published_all_or_none(tmp_path):
    async with graph(tmp_path) as one:
        await one.make("q")
        await one.broker.queues.patch(ADMIN, "q", {"max_messages": 2, "max_message_bytes": 3})
        two = await one.data(SOME, messages=[{"content": "1"}, {"content": "2"}])
        full = await one.codes(SOME, messages=[{"content": "3"}])
        large = await one.codes(SOME, messages=[{"content": "3"}, {"content": "four"}])
        none = await one.ask(SOME, messages=[])
        many = await one.ask(SOME, messages=[{"content": ""}] * 1001)
        assert len(await stored(one)) == 2
    assert [message["messageId"] for message in two["publishMessages"]] == ["1", "2"]
    assert (full, large) == (["queue-full"], ["too-large"])
    assert none["errors"][0]["message"] == "messages: expected 1 to 1000 messages, got 0"
    assert many["errors"][0]["message"] == "messages: expected 1 to 1000 messages, got 1001"


async def test_a_full_queue_says_when_to_come_again(tmp_path):
    async with graph(tmp_path) as one:
        await one.make("q")
        await one.broker.queues.patch(ADMIN, "q", {"max_messages": 1})
        await one.publish("q", "1")
        [error] = (await one.ask(ONE, message={"content": "2"}))["errors"]
    assert error["extensions"] == {"code": "queue-full", "retry_after": 1.0}
