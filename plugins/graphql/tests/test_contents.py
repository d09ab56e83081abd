"""What messages hold: text, or whatever it is."""

import pytest
from graphs import ADMIN, graph

from broker import Draft


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
