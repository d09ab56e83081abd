import pytest

from broker import Allowance, Identity, RateLimiter
from broker.builtin.scopes import ScopeAuthorizer
from broker.isolation import Failures
from broker.meter import Meter
from broker.operations.gate import Gate
from broker.operations.prepaying import Prepaid
from broker.testing import ManualClock

ANA = Identity(subject="ana")


class Limiter(RateLimiter):
    def __init__(self, *, left, retry_after=1.5):
        self.left, self.retry_after, self.asked = left, retry_after, []

    async def spend(self, spendings):
        [spending] = spendings
        assert (spending.activity, spending.queue) == ("consume", "q")
        self.asked.append(spending.cost)
        if spending.cost > self.left:
            return Allowance(allowed=False, retry_after=self.retry_after)
        self.left -= spending.cost
        return Allowance(allowed=True)


def prepaid(limiter, paid=0):
    gate = Gate(
        authenticators=(),
        authorizer=("scopes", ScopeAuthorizer()),
        limiter=limiter and ("limits", limiter),
        anonymous=False,
        failures=Failures(ManualClock()),
        rejected=Meter().counter("rejected", "Refused.", labels=("limit",)),
        credentials_refused=Meter().counter("refused", "Refused."),
    )
    return Prepaid(gate, "q", paid=paid)


async def test_where_there_is_no_limit_everything_is_paid():
    assert await prepaid(None).get(ANA, 100) == 100


async def test_what_was_paid_and_not_used_is_not_paid_again():
    limiter = Limiter(left=100)
    paying = prepaid(limiter)

    assert [await paying.get(ANA, 10) for _ in range(3)] == [10, 10, 10]
    paying.use(4)
    assert await paying.get(ANA, 10) == 10

    assert limiter.asked == [10, 4]


async def test_after_a_refusal_less_is_asked_for_and_more_again_after_a_success():
    limiter = Limiter(left=5)
    paying = prepaid(limiter)

    assert await paying.get(ANA, 16) == 4
    paying.use(4)
    assert await paying.get(ANA, 16) == 1
    assert limiter.asked == [16, 8, 4, 8, 4, 2, 1]
    paying.use(1)
    limiter.left = 1000
    limiter.asked.clear()
    for _ in range(6):
        paying.use(await paying.get(ANA, 16))

    assert limiter.asked == [2, 4, 8, 16, 16, 16]


async def test_what_is_left_of_earlier_is_enough_to_go_on_with():
    limiter = Limiter(left=0)

    assert await prepaid(limiter, paid=3).get(ANA, 16) == 3
    assert limiter.asked == [13]


@pytest.mark.parametrize(("retry_after", "pause_ms"), [(1.5, 1500), (0.0001, 1), (None, 5000)])
async def test_who_may_not_have_one_waits_for_as_long_as_the_limiter_says(retry_after, pause_ms):
    paying = prepaid(Limiter(left=0, retry_after=retry_after))

    assert (await paying.get(ANA, 2), paying.pause_ms) == (0, pause_ms)
