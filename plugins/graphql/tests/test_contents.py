"""What messages hold: text, or whatever it is."""

import pytest
from graphs import ADMIN, graph

from broker import Draft
from broker_graphql import execution

ALIASED = "a: content b: contentBase64"


@pytest.mark.parametrize(
    ("body", "content", "encoded"),
    [
        (b"", "", ""),
        (b"a\x00b", "a\x00b", "YQBi"),
        ("ü\U0001f600".encode(), "ü\U0001f600", "w7zwn5iA"),
        (b"\xff\xfe", None, "//4="),
        # Half of a surrogate pair is no UTF-8.
        (b"\xed\xa0\x80", None, "7aCA"),
    ],
)
async def test_a_body_is_told_as_text_if_it_is_text_and_in_base64_in_any_case(
    tmp_path, body, content, encoded
):
    async with graph(tmp_path) as one:
        await one.make("orders")
        [published] = await one.broker.publish(ADMIN, [Draft(queue="orders", body=body)])
        data = await one.data(
            "query ($id: ID!) { message(id: $id) { content contentBase64 headers { name } }"
            " messageById(id: $id) { content } }",
            id=published.id,
        )
    assert data == {
        "message": {"content": content, "contentBase64": encoded, "headers": []},
        "messageById": {"content": content},
    }


async def test_a_content_counts_as_often_as_it_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(execution, "MAX_CONTENT_BYTES", 8)
    async with graph(tmp_path) as one:
        await one.make("orders")
        await one.publish("orders", "1234")
        looked = '{ queue(name: "orders") { messages { nodes { %s c: content } } } }'
        twice = await one.data(looked.replace("c: content", "") % ALIASED)
        result = await one.ask(looked % ALIASED)
    assert twice["queue"]["messages"]["nodes"] == [{"a": "1234", "b": "MTIzNA=="}]
    [error] = result["errors"]
    assert result["data"]["queue"]["messages"]["nodes"] == [
        {"a": "1234", "b": "MTIzNA==", "c": None}
    ]
    assert error["message"] == "the contents are more than 8 bytes; ask for fewer"
    assert error["extensions"] == {"code": "too-large"}


async def test_leases_whose_contents_are_not_told_are_given_back(tmp_path, monkeypatch):
    monkeypatch.setattr(execution, "MAX_CONTENT_BYTES", 8)
    async with graph(tmp_path) as one:
        await one.make("orders")
        await one.publish("orders", "123", "456", "789")
        leased = 'lease(queue: "orders") { deliveries { message { contentBase64 } } }'
        result = await one.ask("mutation { a: %s b: %s c: %s }" % ((leased,) * 3))
        [status] = await one.broker.queues.list(ADMIN)
    assert [result["data"][key] is None for key in "abc"] == [False, False, True]
    assert (status.counts.pending, status.counts.processing) == (1, 2)


async def test_what_has_to_be_heard_of_tells_little_of_contents(tmp_path, monkeypatch):
    monkeypatch.setattr(execution, "MAX_FINAL_BYTES", 8)
    paused = """mutation { pause(queue: "orders") { paused messages { nodes { content } } } }"""
    async with graph(tmp_path) as one:
        await one.make("orders")
        await one.publish("orders", "1234", "5678", "9")
        result = await one.ask(paused)
    queue = result["data"]["pause"]
    assert [node["content"] for node in queue["messages"]["nodes"]] == ["1234", "5678", None]
    assert queue["paused"]
    assert [error["extensions"]["code"] for error in result["errors"]] == ["too-large"]
