import msgspec

from broker import Message, SettleResult
from broker.builtin.rest.render import view_message, view_results

MESSAGE = Message(
    id=1,
    queue="q",
    queue_id=2,
    state="pending",
    body=b"hello",
    content_type="text/plain",
    headers={},
    priority=4,
    group=None,
    dedup_key=None,
    enqueued_at=0,
    updated_at=1,
    visible_at=2,
    expires_at=None,
    delivery_count=0,
    first_delivered_at=None,
    finished_at=None,
    reason=None,
    origin_queue=None,
    leased_by=None,
)


def shown(message, *receipt):
    return msgspec.json.decode(msgspec.json.encode(view_message(message, *receipt)))


def test_text_is_shown_as_text_and_anything_else_in_base64():
    text = shown(MESSAGE)
    binary = shown(msgspec.structs.replace(MESSAGE, body=b"\xff\xfe"))

    assert (text["content"], "content_base64" in text) == ("hello", False)
    assert (binary["content_base64"], "content" in binary) == ("//4=", False)


def test_the_end_of_a_lease_is_shown_with_its_receipt_only():
    bare = shown(MESSAGE)
    leased = shown(MESSAGE, "receipt")

    assert {"receipt", "lease_expires_at"} & set(bare) == set()
    assert (leased["receipt"], leased["lease_expires_at"]) == (
        "receipt",
        "1970-01-01T00:00:00.002Z",
    )


def test_a_result_tells_which_settlement_it_is_of_and_leaves_out_what_is_not_there():
    [result] = view_results([("ack", 3)], [SettleResult(id=7, outcome="stale")])

    assert msgspec.json.encode(result) == (
        b'{"kind":"ack","index":3,"message_id":7,"outcome":"stale"}'
    )
