"""What is kept for one operation: rows in every order that they have a place in, and the books."""

import pytest

from broker import NewMessage, Queue, QueuePolicy, StorageFailed
from broker.ordered import keys
from broker.ordered.overlay import Overlay
from broker.ordered.records import Ids, Row, encode
from broker.ordered.transaction import Transaction
from sorted_dict import Disk, SortedDict

NOW = 1_000_000
QUEUE = Queue(id=1, name="q", policy=QueuePolicy(), version=1, created_at=0, updated_at=0)


@pytest.fixture
def base() -> Overlay:
    store = SortedDict(Disk({keys.IDS: encode(Ids())}))
    store.open()
    base = Overlay(store)
    tx = Transaction(base, NOW)
    tx.put_queue(QUEUE)
    tx.end()
    return base


def put(base: Overlay, message_id: int, **fields: object) -> Row:
    tx = Transaction(base, NOW)
    message = NewMessage(queue="q", body=b"body", **fields)
    row = Row.new(message_id, message, QUEUE, NOW)
    tx.insert(row, message.body)
    tx.end()
    return row


def visible(base: Overlay) -> set[bytes]:
    return {key for key, _ in base.scan(b"\0", b"\xff")}


def test_a_message_that_is_removed_leaves_nothing(base: Overlay) -> None:
    before = visible(base) | {keys.of_queue(1, keys.BOOKS)}
    rows = [
        put(base, 1),
        put(base, 2, group="g"),
        put(base, 3, visible_at=NOW + 1, expires_at=NOW + 2, group="g"),
    ]
    tx = Transaction(base, NOW)
    leased = tx.change(rows[0], state="processing", visible_at=NOW + 9, token=b"t")
    failed = tx.change(rows[1], state="failed", finished_at=NOW)
    tx.end()
    assert len(visible(base)) > len(before)
    tx = Transaction(base, NOW)
    for row in (leased, failed, rows[2]):
        tx.remove(row)
    tx.end()
    assert visible(base) == before
    assert Transaction(base, NOW).books(1).bytes == 0


def test_what_only_reads_changes_nothing(base: Overlay) -> None:
    put(base, 1)
    tx = Transaction(base, NOW)
    assert tx.find(1) is not None
    assert tx.notice(1) is False
    assert tx.queue("q") == QUEUE
    assert tx.ids.next_message_id == 1
    tx.books(1)
    tx.end()
    assert tx.data.changes == {}


def test_nothing_counts_before_the_end(base: Overlay) -> None:
    before = visible(base)
    tx = Transaction(base, NOW)
    tx.insert(Row.new(1, NewMessage(queue="q", body=b""), QUEUE, NOW), b"")
    assert visible(base) == before


def test_a_group_offers_its_head_alone(base: Overlay) -> None:
    first, second = put(base, 1, group="g"), put(base, 2, group="g")
    tx = Transaction(base, NOW)
    assert list(tx.in_order(1, keys.READY)) == list(tx.in_order(1, keys.READY_BY_ID)) == [1]
    tx.remove(first)
    tx.regroup()
    assert list(tx.in_order(1, keys.READY)) == [2]
    tx.change(second, state="processing", visible_at=NOW + 1)
    tx.regroup()
    assert list(tx.in_order(1, keys.READY)) == []


def test_a_head_that_nobody_has_noticed_to_be_visible_is_not_offered(base: Overlay) -> None:
    put(base, 1, group="g", visible_at=NOW + 10)
    tx = Transaction(base, NOW + 10)
    assert list(tx.in_order(1, keys.READY)) == []
    tx.notice(1)
    assert list(tx.in_order(1, keys.READY)) == [1]


def test_no_more_is_noticed_at_once_than_a_chunk(
    base: Overlay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broker.ordered.transaction.CHUNK", 2)
    for message_id in range(1, 6):
        put(base, message_id, visible_at=NOW + message_id)
    tx = Transaction(base, NOW + 10)
    ready = []
    while tx.notice(1):
        ready.append(len(list(tx.in_order(1, keys.READY))))
    assert [*ready, len(list(tx.in_order(1, keys.READY)))] == [2, 4, 5]


def test_a_message_without_its_body_is_damage(base: Overlay) -> None:
    row = put(base, 1)
    base.delete(keys.body(1))
    with pytest.raises(StorageFailed) as failed:
        Transaction(base, NOW).body(row)
    assert failed.value.problem == "message 1 has lost its body: restore a backup"
