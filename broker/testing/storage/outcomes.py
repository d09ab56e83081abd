"""Outcomes: what a settle answers when there is no such live lease, and that it changes nothing."""

from __future__ import annotations

import msgspec
import pytest

from broker.models import Settle, SettleResult
from broker.testing.storage.bench import KINDS, KINDS_BUT_ACK, SettleKind, Workbench

every_kind = pytest.mark.parametrize("kind", KINDS)
every_kind_but_ack = pytest.mark.parametrize("kind", KINDS_BUT_ACK)


class Outcomes:
    """The rows about not_found, stale, expired and wrong_state."""

    @every_kind
    async def test_an_unknown_message_is_not_found(
        self, bench: Workbench, kind: SettleKind
    ) -> None:
        await bench.make_queue()
        for token in (None, b"0" * 16):
            [result] = await bench.settle(Settle(id=4711, queue="q", kind=kind, token=token))
            assert result == SettleResult(id=4711, outcome="not_found")

    @every_kind
    async def test_a_token_that_is_not_that_of_the_lease_is_stale(
        self, bench: Workbench, kind: SettleKind
    ) -> None:
        await bench.make_queue()
        await bench.put()
        lease = await bench.take_one()
        forged = msgspec.structs.replace(lease, token=b"0" * 16)
        await expect_refusal(bench, bench.op(forged, kind, seconds=60), "stale")

    @every_kind
    async def test_a_lease_is_stale_once_somebody_else_leased_the_message(
        self, bench: Workbench, kind: SettleKind
    ) -> None:
        await bench.make_queue()
        await bench.put()
        old = await bench.take_one(seconds=30)
        bench.advance(30)
        await bench.take_one()
        await expect_refusal(bench, bench.op(old, kind, seconds=60), "stale")

    @every_kind
    @pytest.mark.parametrize("first", ["retry", "release", "reject"])
    async def test_a_lease_that_was_given_up_is_stale(
        self, bench: Workbench, first: SettleKind, kind: SettleKind
    ) -> None:
        await bench.make_queue()
        await bench.put()
        lease = await bench.take_one()
        await bench.do(lease, first)
        await expect_refusal(bench, bench.op(lease, kind, seconds=60), "stale")

    @every_kind
    async def test_a_token_for_a_message_that_was_never_leased_is_stale(
        self, bench: Workbench, kind: SettleKind
    ) -> None:
        await bench.make_queue()
        message_id = await bench.put()
        op = Settle(id=message_id, queue="q", kind=kind, token=b"0" * 16)
        await expect_refusal(bench, op, "stale")

    @every_kind
    @pytest.mark.parametrize("fenced", [True, False])
    async def test_a_lease_of_a_message_elsewhere_is_stale(
        self, bench: Workbench, kind: SettleKind, fenced: bool
    ) -> None:
        await bench.make_queue()
        await bench.make_queue("other")
        await bench.put()
        op = bench.op(await bench.take_one(), kind, seconds=60, fenced=fenced)
        await expect_refusal(bench, msgspec.structs.replace(op, queue="other"), "stale")

    @every_kind_but_ack
    async def test_an_acked_message_can_only_be_acked_again(
        self, bench: Workbench, kind: SettleKind
    ) -> None:
        await bench.make_queue()
        await bench.put()
        lease = await bench.take_one()
        await bench.ack(lease)
        await expect_refusal(bench, bench.op(lease, kind, seconds=60), "wrong_state")

    @every_kind
    async def test_an_acked_message_takes_no_other_token(
        self, bench: Workbench, kind: SettleKind
    ) -> None:
        await bench.make_queue()
        await bench.put()
        lease = await bench.take_one()
        await bench.ack(lease)
        forged = msgspec.structs.replace(lease, token=b"0" * 16)
        await expect_refusal(bench, bench.op(forged, kind, seconds=60), "stale")

    @every_kind
    async def test_without_a_token_a_pending_message_is_in_the_wrong_state(
        self, bench: Workbench, kind: SettleKind
    ) -> None:
        await bench.make_queue()
        message_id = await bench.put()
        await expect_refusal(bench, Settle(id=message_id, queue="q", kind=kind), "wrong_state")

    @every_kind
    async def test_without_a_token_a_retried_message_is_in_the_wrong_state(
        self, bench: Workbench, kind: SettleKind
    ) -> None:
        await bench.make_queue()
        await bench.put()
        lease = await bench.take_one()
        await bench.do(lease, "retry")
        op = bench.op(lease, kind, seconds=60, fenced=False)
        await expect_refusal(bench, op, "wrong_state")

    @every_kind
    async def test_without_a_token_a_finished_message_is_in_the_wrong_state(
        self, bench: Workbench, kind: SettleKind
    ) -> None:
        await bench.make_queue()
        for message_id in (await bench.put_processed(), await bench.put_failed()):
            op = Settle(id=message_id, queue="q", kind=kind)
            await expect_refusal(bench, op, "wrong_state")

    @every_kind
    async def test_a_deleted_message_is_not_found(self, bench: Workbench, kind: SettleKind) -> None:
        await bench.make_queue()
        message_id = await bench.put()
        lease = await bench.take_one()
        await bench.delete(ids=(message_id,))
        await expect_refusal(bench, bench.op(lease, kind, seconds=60), "not_found")

    async def test_each_operation_is_carried_out_by_itself(self, bench: Workbench) -> None:
        await bench.make_queue()
        await bench.put_many(3)
        [stale, good, other] = await bench.take()
        await bench.do(stale, "retry", seconds=5)
        results = await bench.settle(
            bench.op(stale, "ack"),
            bench.op(other, "reject", reason="bad"),
            Settle(id=4711, queue="q", kind="ack"),
            bench.op(good, "ack"),
        )
        assert results == [
            SettleResult(id=stale.message.id, outcome="stale"),
            SettleResult(
                id=other.message.id, outcome="ok", state="failed", queue="q", reason="bad"
            ),
            SettleResult(id=4711, outcome="not_found"),
            SettleResult(id=good.message.id, outcome="ok", state="processed", queue="q"),
        ]

    async def test_operations_on_one_message_follow_each_other(self, bench: Workbench) -> None:
        await bench.make_queue()
        await bench.put()
        lease = await bench.take_one()
        ack, retry = bench.op(lease, "ack"), bench.op(lease, "retry")
        outcomes = [result.outcome for result in await bench.settle(retry, ack, retry)]
        assert outcomes == ["ok", "stale", "stale"]
        lease = await bench.take_one()
        ack, retry = bench.op(lease, "ack"), bench.op(lease, "retry")
        outcomes = [result.outcome for result in await bench.settle(ack, ack, retry)]
        assert outcomes == ["ok", "ok", "wrong_state"]
        assert (await bench.totals()).acked == 1

    async def test_no_operations_are_nothing(self, bench: Workbench) -> None:
        assert await bench.settle() == []


async def expect_refusal(bench: Workbench, op: Settle, outcome: str) -> None:
    """Settle; fail unless the answer is this outcome and nothing changed."""
    before = await bench.everything()
    [result] = await bench.settle(op)
    assert result == SettleResult(id=op.id, outcome=outcome)  # type: ignore[arg-type]  # a literal
    assert await bench.everything() == before
