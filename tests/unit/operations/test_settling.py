import pytest

from broker import LeaseLost, MessageNotFound, QueuePolicy, SettleResult, WrongState
from broker.operations.settling import backoff, refusal


@pytest.mark.parametrize(
    ("deliveries", "expected"),
    [
        (1, 2.0),  # the first retry waits retry_base
        (2, 4.0),  # and each one after it twice as long
        (3, 8.0),
        (4, 10.0),  # up to retry_max
        (1000, 10.0),  # without overflow
        (0, 2.0),  # a count that a receipt made up
    ],
)
def test_backoff_doubles_up_to_its_maximum(deliveries, expected):
    policy = QueuePolicy(retry_base=2, retry_max=10, jitter=0)

    assert backoff(policy, deliveries) == expected


def test_jitter_only_shortens_and_by_its_share_at_most():
    policy = QueuePolicy(retry_base=10, retry_max=10, jitter=0.2)

    waits = [backoff(policy, 1) for _ in range(1000)]

    assert 8 <= min(waits) < max(waits) <= 10


def test_without_retry_base_a_retry_is_immediate():
    assert backoff(QueuePolicy(), 5) == 0


@pytest.mark.parametrize(
    ("outcome", "error", "detail"),
    [
        ("not_found", MessageNotFound, "there is no message 7"),
        ("stale", LeaseLost, "message 7 is not under this lease any more"),
        ("expired", LeaseLost, "the lease of message 7 is over; only an ack is still taken"),
        ("wrong_state", WrongState, "message 7 is not leased"),
    ],
)
def test_each_refusal_says_why(outcome, error, detail):
    refused = refusal(SettleResult(id=7, outcome=outcome))

    assert (type(refused), str(refused)) == (error, detail)
