import pytest
from broker_ratelimit.config import RateLimitConfig
from broker_ratelimit.counters import Claim, Count, Counters, Window
from broker_ratelimit.limiter import Limiter
from broker_ratelimit.memory import MemoryCounters

from broker import Allowance, Identity, Quota, Spending
from broker.testing import ManualClock

MINUTE = 1_700_000_040_000
"""A time at which a minute begins."""


class Recorder(Counters):
    """Takes everything, or nothing; keeps what was claimed."""

    def __init__(self, *, allowed=True, count=Count(0, 0, 0)):
        self.claims: list[Claim] = []
        self._allowed = allowed
        self._count = count

    async def take(self, claims):
        self.claims = list(claims)
        return self._allowed, [self._count for claim in claims for _ in claim.windows]


def limiter(counters=None, *, clock=None, **limits):
    """A limiter with these limits alone."""
    config = RateLimitConfig(limits={"login": False, **limits})
    return Limiter(config, counters=counters or MemoryCounters(clock or ManualClock(MINUTE)))


def by(subject, peer="192.0.2.1", *, is_anonymous=False):
    return Identity(subject=subject, scopes=frozenset(), peer=peer, is_anonymous=is_anonymous)


def spending(activity="publish", *, who=by("ann"), queue="q", cost=1):
    return Spending(activity=activity, peer=who.peer, identity=who, queue=queue, cost=cost)


def login(peer="192.0.2.1"):
    return Spending(activity="login", peer=peer)


async def test_what_no_limit_is_for_is_free():
    counters = Recorder(allowed=False)
    made = limiter(
        counters,
        writes={"rate": "1/hour", "activities": ["publish"]},
        orders={"rate": "1/hour", "activities": ["consume"], "queues": ["orders-*"]},
    )

    for free in (spending("read"), spending("consume", queue="mail"), login()):
        assert await made.spend([free]) == Allowance(allowed=True)


async def test_what_is_left_is_told():
    clock = ManualClock(MINUTE + 15_000)
    made = limiter(clock=clock, writes={"rate": "10/minute"})

    first = await made.spend([spending()])
    clock.advance(60)
    second = await made.spend([spending()])

    quota = Quota(name="writes", limit=10, window_seconds=60, remaining=9, reset_seconds=45.001)
    assert first == Allowance(allowed=True, quotas=(quota,))
    # The first one counts for three quarters: for none. The second is gone a millisecond into
    # the next window.
    assert second == Allowance(allowed=True, quotas=(quota,))


async def test_a_refusal_says_when_the_same_is_worth_trying_again():
    clock = ManualClock(MINUTE)
    made = limiter(clock=clock, writes={"rate": "2/minute"})
    await made.spend([spending()])
    await made.spend([spending()])

    refused = await made.spend([spending()])

    assert (refused.allowed, refused.retry_after) == (False, 60.001)
    assert [quota.remaining for quota in refused.quotas] == [0]
    clock.advance(60)
    assert not (await made.spend([spending()])).allowed
    clock.advance(0.001)
    assert (await made.spend([spending()])).allowed


async def test_what_is_refused_costs_nothing():
    clock = ManualClock(MINUTE)
    made = limiter(clock=clock, writes={"rate": "2/minute", "cost": "messages"})

    for _ in range(3):
        assert not (await made.spend([spending(cost=3)])).allowed

    assert (await made.spend([spending(cost=2)])).allowed


async def test_more_than_is_ever_allowed_at_once_has_no_time_to_try_again():
    made = limiter(writes={"rate": "5/second; 100/minute", "cost": "messages"})

    refused = await made.spend([spending(cost=6)])

    assert (refused.allowed, refused.retry_after) == (False, None)


async def test_each_window_is_a_quota_of_its_own_the_shortest_first():
    made = limiter(writes={"rate": "5000/minute; 200/second"})

    quotas = (await made.spend([spending()])).quotas

    assert [(q.name, q.limit, q.window_seconds, q.remaining) for q in quotas] == [
        ("writes-1s", 200, 1, 199),
        ("writes-60s", 5000, 60, 4999),
    ]


async def test_the_slowest_window_says_when_to_try_again():
    clock = ManualClock(MINUTE)
    made = limiter(clock=clock, writes={"rate": "1/second; 2/minute"})

    await made.spend([spending()])
    soon = await made.spend([spending()])
    clock.advance(1.001)
    await made.spend([spending()])
    late = await made.spend([spending()])

    assert (soon.retry_after, late.retry_after) == (1.001, 59.0)


async def test_every_limit_that_applies_is_told_and_the_scarcest_refuses():
    made = limiter(
        all={"rate": "100/minute"},
        writes={"rate": "1/minute", "activities": ["publish"]},
        reads={"rate": "1/minute", "activities": ["read"]},
    )

    await made.spend([spending()])
    refused = await made.spend([spending()])

    assert not refused.allowed
    assert [(q.name, q.remaining) for q in refused.quotas] == [("all", 99), ("writes", 0)]
    assert (await made.spend([spending("read")])).allowed


async def test_activities_of_one_limit_spend_from_the_same():
    made = limiter(work={"rate": "1/minute", "activities": ["publish", "consume"]})

    await made.spend([spending("publish")])

    assert not (await made.spend([spending("consume")])).allowed


@pytest.mark.parametrize(
    ("glob", "queue", "applies"),
    [
        ("*", "q", True),
        ("*", None, False),  # what concerns no queue is in no glob
        ("orders-*", "orders-eu", True),
        ("orders-*", "orders", False),
        ("orders-*", "ORDERS-eu", False),
        ("orders-?", "orders-10", False),
        ("orders-[0-9]", "orders-7", True),
        ("orders-[!0-9]", "orders-7", False),
        ("a.b", "axb", False),
        ("q", "q" * 300, False),
        ("q*", "q" * 300, True),
    ],
)
async def test_globs_are_those_of_scopes(glob, queue, applies):
    made = limiter(some={"rate": "1/minute", "queues": ["never", glob]})

    for _ in range(2):  # once from what is remembered
        allowance = await made.spend([spending(queue=queue)])
        assert bool(allowance.quotas) is applies


async def test_what_is_no_name_of_a_queue_is_not_remembered():
    made = limiter(some={"rate": "1/minute", "queues": ["q*"]})

    await made.spend([spending(queue="q" * 256)])
    assert made._applying.cache_info().currsize == 0
    await made.spend([spending(queue="q" * 255)])
    assert made._applying.cache_info().currsize == 1


@pytest.mark.parametrize(
    ("key", "who", "expected"),
    [
        ("identity", by("ann"), "l:identity:ann"),
        ("identity", by("ann", peer="192.0.2.9"), "l:identity:ann"),
        ("address", by("ann"), "l:address:192.0.2.1"),
        ("both", by("ann"), "l:both:192.0.2.1 ann"),
        # Nobody in particular is an address, whatever the key is.
        ("identity", by("anonymous", is_anonymous=True), "l:address:192.0.2.1"),
        ("both", by("anonymous", is_anonymous=True), "l:address:192.0.2.1"),
        ("identity", by("anonymous"), "l:identity:anonymous"),  # a user of that name
        ("address", by("ann", peer="2001:db8:1:2:3::4"), "l:address:2001:db8:1:2::/64"),
        ("both", by("ann", peer="2001:db8:1:2:3::4"), "l:both:2001:db8:1:2::/64 ann"),
        ("address", by("ann", peer="::ffff:192.0.2.1"), "l:address:192.0.2.1"),
    ],
)
async def test_who_spends(key, who, expected):
    counters = Recorder()

    await limiter(counters, l={"rate": "1/minute", "key": key}).spend([spending(who=who)])

    assert [claim.key for claim in counters.claims] == [expected]


@pytest.mark.parametrize("key", ["identity", "address", "both"])
async def test_who_logs_in_is_an_address(key):
    counters = Recorder()

    await limiter(counters, l={"rate": "1/minute", "key": key}).spend([login()])

    assert [claim.key for claim in counters.claims] == ["l:address:192.0.2.1"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (by("b 192.0.2.1 c", peer="192.0.2.1"), by("c", peer="192.0.2.1")),
        (by("1:ann", peer="2001:db8::"), by("ann", peer="2001:db8::1")),
        (by("address:192.0.2.1"), by("", peer="192.0.2.1", is_anonymous=True)),
        (by("both:192.0.2.1 ann"), by("ann")),
        (by("ann\n"), by("ann")),
    ],
)
async def test_no_subject_passes_for_another(one, other):
    for key in ("identity", "both"):
        counters = Recorder()
        made = limiter(counters, l={"rate": "1/minute", "key": key})
        keys = set()
        for who in (one, other):
            await made.spend([spending(who=who)])
            keys.add(counters.claims[0].key)
        assert len(keys) == 2


@pytest.mark.parametrize(("cost", "expected"), [("requests", 1), ("messages", 50)])
async def test_a_limit_counts_requests_or_messages(cost, expected):
    counters = Recorder()

    await limiter(counters, l={"rate": "100/minute", "cost": cost}).spend([spending(cost=50)])

    assert counters.claims == [Claim("l:identity:ann", (Window(100, 60),), expected)]


async def test_a_request_about_several_queues_spends_from_each_limit_once():
    counters = Recorder()
    made = limiter(
        counters,
        all={"rate": "9/minute"},
        sent={"rate": "9/minute", "activities": ["publish"], "cost": "messages"},
        mail={"rate": "9/minute", "queues": ["mail"], "cost": "messages"},
    )

    await made.spend(
        [
            spending("settle", cost=2),
            spending("publish", queue="mail", cost=3),
            spending("publish", queue="orders", cost=4),
        ]
    )

    assert {claim.key: claim.cost for claim in counters.claims} == {
        "all:identity:ann": 1,
        "sent:identity:ann": 7,
        "mail:identity:ann": 3,
    }


async def test_a_refusal_about_one_of_several_queues_spends_nothing_of_the_others():
    made = limiter(
        mail={"rate": "1/minute", "queues": ["mail"]},
        orders={"rate": "1/minute", "queues": ["orders"]},
    )
    await made.spend([spending(queue="mail")])

    refused = await made.spend([spending(queue="orders"), spending(queue="mail")])

    assert (refused.allowed, refused.refused_by) == (False, "mail")
    assert (await made.spend([spending(queue="orders")])).allowed


async def test_a_refusal_never_says_to_try_again_at_once():
    """Where others count, what is told may be there again by then."""
    made = limiter(Recorder(allowed=False), l={"rate": "1/minute"})

    assert (await made.spend([spending()])).retry_after == 0.001


async def test_more_than_all_is_spent_leaves_nothing():
    """The limit was higher when it was spent."""
    made = limiter(Recorder(count=Count(0, 500, 0)), l={"rate": "10/minute"})

    assert [quota.remaining for quota in (await made.spend([spending()])).quotas] == [0]


@pytest.mark.parametrize(
    ("limits", "line"),
    [
        ({}, "limits: login 10/minute per address, counted in memory"),
        ({"login": False}, "limits: none, counted in memory"),
        (
            {
                "login": {"rate": "3/hour", "activities": ["login"], "key": "both"},
                "writes": {"rate": "200/second; 5000/minute"},
            },
            "limits: login 3/hour per identity and address, writes 200/second and 5000/minute "
            "per identity, counted in memory",
        ),
    ],
)
async def test_the_start_screen_says_which_limits_are_in_force(limits, line):
    made = Limiter(RateLimitConfig(limits=limits), counters=Recorder())

    assert await made.notices() == [line]
