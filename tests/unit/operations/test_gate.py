import pytest

from broker import (
    Allowance,
    Authenticator,
    Authorizer,
    Credentials,
    Forbidden,
    Identity,
    QueueNotFound,
    Quota,
    RateLimited,
    RateLimiter,
    Unauthenticated,
    Unavailable,
)
from broker.builtin.scopes import ScopeAuthorizer
from broker.operations.gate import Gate
from broker.turn import CURRENT_TURN, Turn, Turns

ANA = Identity(subject="ana", scopes=frozenset({"publish:orders-*"}))
BEARER = Credentials(scheme="bearer", token="t0p-secret", peer="192.0.2.1")


class Says(Authenticator):
    def __init__(self, answer):
        self.answer = answer
        self.asked = 0

    async def authenticate(self, credentials):
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Limiter(RateLimiter):
    def __init__(self, answer):
        self.answer = answer

    async def spend(self, spendings):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def gate(*authenticators, anonymous=False, limiter=None, authorizer=None):
    return Gate(
        authenticators=[(f"plugin{n}", one) for n, one in enumerate(authenticators)],
        authorizer=("scopes", authorizer or ScopeAuthorizer()),
        limiter=None if limiter is None else ("limits", limiter),
        anonymous=anonymous,
    )


async def test_the_first_authenticator_that_answers_decides():
    first, second, third = Says(None), Says(ANA), Says(Identity(subject="eve"))

    assert await gate(first, second, third).identify(BEARER, peer="p") == ANA
    assert [first.asked, second.asked, third.asked] == [1, 1, 0]


async def test_a_bad_credential_stops_the_chain_and_never_becomes_anonymous():
    later = Says(ANA)
    with pytest.raises(Unauthenticated, match="^expired$"):
        await gate(Says(Unauthenticated("expired")), later, anonymous=True).identify(
            BEARER, peer="p"
        )
    assert later.asked == 0


async def test_credentials_that_nobody_knows_never_become_anonymous():
    with pytest.raises(Unauthenticated):
        await gate(Says(None), anonymous=True).identify(BEARER, peer="p")


async def test_an_authenticator_that_breaks_is_a_503(caplog):
    with pytest.raises(Unavailable) as caught:
        await gate(Says(RuntimeError("db down")), Says(ANA), anonymous=True).identify(
            BEARER, peer="p"
        )

    assert str(caught.value) == "the broker could not authenticate this request"
    assert caplog.records[0].getMessage() == 'plugin "plugin0" failed to authenticate'
    assert "t0p-secret" not in caplog.text


async def test_an_authenticator_that_cannot_tell_now_says_so_itself(caplog):
    later = Unavailable("the keys are not here yet")
    later.retry_after = 7

    with pytest.raises(Unavailable) as caught:
        await gate(Says(later), Says(ANA)).identify(BEARER, peer="p")

    assert caught.value is later
    assert caplog.messages == []


async def test_without_credentials_one_is_anonymous_only_if_the_config_says_so():
    identity = await gate(anonymous=True).identify(None, peer="192.0.2.7")
    assert (identity.subject, identity.peer) == ("anonymous", "192.0.2.7")
    with pytest.raises(Unauthenticated, match="^credentials are missing$"):
        await gate(Says(ANA)).identify(None, peer="p")


async def test_an_allowance_that_is_spent_is_a_429():
    spent = Limiter(Allowance(allowed=False, retry_after=1.5))
    with pytest.raises(RateLimited) as caught:
        await gate(limiter=spent).spend(ANA, "publish", "q")
    assert caught.value.retry_after == 1.5


async def test_the_limit_that_is_spent_is_named():
    spent = Limiter(Allowance(allowed=False, retry_after=1.5, refused_by="writes"))
    with pytest.raises(RateLimited, match='^the rate limit "writes" is spent; try again in 2 s$'):
        await gate(limiter=spent).spend(ANA, "publish", "q")


@pytest.mark.parametrize(
    "wrong", [{"name": 'a"b'}, {"name": "a\r\nb"}, {"name": "é"}, {"reset_seconds": float("inf")}]
)
async def test_what_no_header_can_say_is_no_quota(wrong):
    good = {"name": "a", "limit": 1, "window_seconds": 1, "remaining": 0, "reset_seconds": 1}
    with pytest.raises(ValueError, match="for a header"):
        Quota(**{**good, **wrong})


async def test_a_rate_limiter_that_says_never_leaves_no_hope():
    with pytest.raises(RateLimited, match="ask for less$") as caught:
        await gate(limiter=Limiter(Allowance(allowed=False))).spend(ANA, "publish", "q")
    assert caught.value.retry_after is None


async def test_the_answer_of_the_request_tells_of_the_limits_that_applied():
    quota = Quota(name="all", limit=9, window_seconds=60, remaining=8, reset_seconds=60)
    turn = Turn(Turns(1))
    CURRENT_TURN.set(turn)

    await gate(limiter=Limiter(Allowance(allowed=True, quotas=(quota,)))).spend(ANA, "read", None)

    assert turn.headers() == (
        ("ratelimit-policy", '"all";q=9;w=60'),
        ("ratelimit", '"all";r=8;t=60'),
    )


async def test_a_rate_limiter_that_cannot_tell_now_says_so_itself(caplog):
    with pytest.raises(Unavailable, match="^redis is away$"):
        await gate(limiter=Limiter(Unavailable("redis is away"))).spend(ANA, "read", None)
    assert caplog.messages == []


async def test_a_rate_limiter_that_breaks_is_a_503():
    with pytest.raises(Unavailable):
        await gate(limiter=Limiter(RuntimeError())).spend(ANA, "publish", "q")


def test_what_one_may_not_do_names_the_missing_scope():
    with pytest.raises(Forbidden) as caught:
        gate().permit(ANA, "consume", "orders-eu")
    assert caught.value.scope == "consume:orders-eu"
    gate().permit(ANA, "publish", "orders-eu")


def test_what_one_may_not_see_is_not_there():
    with pytest.raises(QueueNotFound):
        gate().permit(ANA, "publish", "payments")


def test_what_concerns_no_queue_needs_admin():
    with pytest.raises(Forbidden):
        gate().permit(ANA, "admin", None)
    gate().permit(Identity(subject="root", scopes=frozenset({"admin"})), "admin", None)


def test_who_may_do_it_with_no_queue_at_all_is_told_the_scope():
    gate().permit_some(ANA, "publish")
    with pytest.raises(Forbidden) as caught:
        gate().permit_some(ANA, "read")
    assert caught.value.scope == "read:<queue>"


def test_an_authorizer_that_cannot_tell_is_asked_queue_by_queue():
    class QueueByQueue(Authorizer):
        def permits(self, identity, action, queue):
            return False

    gate(authorizer=QueueByQueue()).permit_some(ANA, "read")


def test_an_authorizer_that_breaks_is_a_503():
    class Broken(ScopeAuthorizer):
        def permits(self, identity, action, queue):
            raise RuntimeError

        def permits_some(self, identity, action):
            raise RuntimeError

    broken = gate(authorizer=Broken())
    with pytest.raises(Unavailable):
        broken.permit(ANA, "publish", "orders-eu")
    with pytest.raises(Unavailable):
        broken.permit_some(ANA, "publish")


def test_a_token_does_not_show_in_a_repr():
    assert "t0p-secret" not in repr(BEARER)
