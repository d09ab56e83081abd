import asyncio
from contextlib import suppress

import msgspec
import pytest
from misbehaving import odd_errors
from msgspec.structs import replace

from broker import (
    Allowance,
    Authenticator,
    Authorizer,
    Credentials,
    Forbidden,
    Identity,
    PluginError,
    QueueNotFound,
    Quota,
    RateLimited,
    RateLimiter,
    Request,
    Unauthenticated,
    Unavailable,
)
from broker.builtin.scopes import ScopeAuthorizer
from broker.isolation import Failures
from broker.meter import Meter
from broker.operations import gate as module
from broker.operations.gate import Gate
from broker.testing import ManualClock
from broker.turn import CURRENT_TURN, Turn, Turns

ANA = Identity(subject="ana", scopes=frozenset({"publish:orders-*"}))
BEARER = Credentials(scheme="bearer", token="t0p-secret", peer="192.0.2.1")


class Says(Authenticator):
    def __init__(self, answer):
        self.answer = answer
        self.asked = 0

    async def authenticate(self, credentials):
        self.asked += 1
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


class Limiter(RateLimiter):
    def __init__(self, answer):
        self.answer = answer

    async def spend(self, spendings):
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


def gate(*authenticators, anonymous=False, limiter=None, authorizer=None, refused=None):
    return Gate(
        authenticators=[(f"plugin{n}", one) for n, one in enumerate(authenticators)],
        authorizer=("scopes", authorizer or ScopeAuthorizer()),
        limiter=None if limiter is None else ("limits", limiter),
        anonymous=anonymous,
        failures=Failures(ManualClock()),
        rejected=Meter().counter("rejected", "Refused.", labels=("limit",)),
        credentials_refused=refused or Meter().counter("refused", "Refused."),
    )


def asking_for(*challenges):
    found = [Says(None) for _ in challenges]
    for authenticator, challenge in zip(found, challenges, strict=True):
        authenticator.challenge = challenge
    return gate(*found)


@pytest.mark.parametrize(
    ("challenges", "challenge"),
    [
        ([], "Bearer"),
        ([""], "Bearer"),
        (["Basic"], "Basic"),
        (['Basic realm="a"', "Bearer", "", "Bearer"], 'Basic realm="a", Bearer'),
    ],
)
def test_the_challenge_is_what_all_authenticators_ask_for(challenges, challenge):
    assert asking_for(*challenges).challenge == challenge


@pytest.mark.parametrize(
    "challenge", [None, "Basic\r\na: b", " Basic", "Basic ", "Bäsic", b"Basic"]
)
def test_a_challenge_that_no_header_can_tell_stops_the_start(challenge):
    with pytest.raises(
        PluginError, match=r'^plugin "plugin0": its authenticator\'s challenge: exp'
    ):
        asking_for(challenge)


async def test_a_token_is_not_called_invalid_where_nobody_takes_tokens():
    with pytest.raises(Unauthenticated, match="^no enabled plugin accepts credentials of this"):
        await asking_for("Basic").identify(BEARER, peer="p")


@pytest.mark.parametrize("credentials", [None, BEARER])
async def test_a_transport_with_a_listener_of_its_own_hears_what_to_ask_for(credentials):
    with pytest.raises(Unauthenticated) as refused:
        await asking_for("Basic", "Digest").identify(credentials, peer="p")

    assert refused.value.challenge == "Basic, Digest"


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


@pytest.mark.parametrize(
    ("answer", "credentials", "refused"),
    [
        (None, BEARER, 1),
        (Unauthenticated("expired"), BEARER, 1),
        (ANA, BEARER, 0),
        (Unavailable("the keys are not here yet"), BEARER, 0),
        (RuntimeError("db down"), BEARER, 0),
        (None, None, 0),  # who brings none is asked for some, as a browser is at first
    ],
)
async def test_credentials_that_are_refused_are_counted(answer, credentials, refused):
    counter = Meter().counter("refused", "Refused.")
    with suppress(Unauthenticated, Unavailable):
        await gate(Says(answer), refused=counter).identify(credentials, peer="p")

    assert counter.read() == {(): refused}


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


class Reads(Says):
    """Finds in a request what it was told, and takes whatever is of this kind."""

    def __init__(self, found, answer=ANA):
        super().__init__(answer)
        self.found = found
        self.read_in = []

    def read(self, request):
        self.read_in.append(request)
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


SIGNED = Credentials(scheme="signed", token="s1gnature", payload=b"b0dy", peer="192.0.2.1")
REQUEST = Request(method="POST", path="/", body=b"b0dy", peer="192.0.2.1")


def test_the_first_authenticator_that_finds_credentials_in_a_request_is_the_last_asked():
    first, second, third = Reads(None), Reads(SIGNED), Reads(BEARER)

    assert gate(Says(ANA), first, second, third).read(REQUEST) is SIGNED
    assert (first.read_in, second.read_in, third.read_in) == ([REQUEST], [REQUEST], [])


def test_who_sends_the_header_authorization_is_known_by_nothing_else():
    reader = Reads(SIGNED)
    request = replace(REQUEST, headers={"authorization": "Bearer t0p-secret"})

    assert gate(reader).read(request) == BEARER
    assert reader.read_in == []


def test_a_request_in_which_nobody_finds_credentials_has_none():
    assert gate(Reads(None), Says(ANA)).read(REQUEST) is None
    assert gate().read(REQUEST) is None


@pytest.mark.parametrize("anonymous", [False, True])
async def test_credentials_found_in_a_request_that_nobody_takes_never_become_anonymous(anonymous):
    one = gate(Reads(SIGNED, answer=None), anonymous=anonymous)
    with pytest.raises(Unauthenticated, match="^no enabled plugin accepts credentials of this"):
        await one.identify(one.read(REQUEST), peer="p")


@pytest.mark.parametrize("refusal", [Unauthenticated("two signatures"), Unavailable("no keys yet")])
def test_an_authenticator_that_finds_what_it_cannot_read_says_so_itself(refusal, caplog):
    with pytest.raises(type(refusal)) as caught:
        gate(Reads(refusal), Reads(SIGNED), anonymous=True).read(REQUEST)

    assert caught.value is refusal
    assert caplog.messages == []


def test_an_authenticator_that_breaks_while_it_reads_is_a_503(caplog):
    with pytest.raises(Unavailable, match="^the broker could not authenticate this request$"):
        gate(Reads(KeyError("x")), Reads(SIGNED), anonymous=True).read(REQUEST)

    assert caplog.messages == ['plugin "plugin0" failed to authenticate']


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


@pytest.mark.parametrize(
    ("challenges", "is_told"),
    [
        ([], False),
        ([""], False),
        (["Basic"], False),
        (['Digest realm="Bearer"'], False),
        (["bearer"], True),
        (['Basic realm="a"', "", "Bearer"], True),
    ],
)
def test_a_missing_scope_is_told_in_the_words_of_bearer_tokens_where_those_are_taken(
    challenges, is_told
):
    asked = asking_for(*challenges)
    for scope, permit in [
        ("consume:orders-eu", lambda: asked.permit(ANA, "consume", "orders-eu")),
        ("read:<queue>", lambda: asked.permit_some(ANA, "read")),
    ]:
        with pytest.raises(Forbidden) as caught:
            permit()

        told = f'Bearer error="insufficient_scope", scope="{scope}"'
        assert caught.value.challenge == (told if is_told else None)


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


class Hangs(Authenticator):
    async def authenticate(self, credentials):
        await asyncio.Event().wait()


class HangingLimiter(RateLimiter):
    async def spend(self, spendings):
        await asyncio.Event().wait()


class Permits(Authorizer):
    def __init__(self, answer):
        self.answer = answer

    def permits(self, identity, action, queue):
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer() if callable(self.answer) else self.answer

    def permits_some(self, identity, action):
        return self.permits(identity, action, None)


class Admin(msgspec.Struct):
    """All that an identity has, and no identity."""

    subject: str = "root"
    scopes: frozenset = frozenset({"admin"})
    peer: str = ""
    expires_at: None = None
    is_anonymous: bool = False


async def yes():
    return True


@pytest.mark.parametrize(**odd_errors)
async def test_whatever_an_authenticator_raises_is_a_503(error):
    broken = gate(Says(error), Says(ANA), anonymous=True)
    with pytest.raises(Unavailable, match="^the broker could not authenticate this request$"):
        await broken.identify(BEARER, peer="p")
    assert broken._failures == {("plugin0", "authenticate"): 1}


@pytest.mark.parametrize(
    "answer",
    [
        True,
        "root",
        {"subject": "root"},
        Identity,
        Admin(),
        Identity(subject=None),
        Identity(subject="ana", scopes={"admin"}),
        Identity(subject="ana", scopes="admin"),
        Identity(subject="ana", peer=None),
        Identity(subject="ana", expires_at="never"),
        Identity(subject="ana", expires_at=1.5),
        Identity(subject="ana", is_anonymous=0),
    ],
)
async def test_what_is_no_identity_identifies_nobody(answer, caplog):
    with pytest.raises(Unavailable):
        await gate(Says(answer), anonymous=True).identify(BEARER, peer="p")
    assert caplog.messages == ['plugin "plugin0" failed to authenticate']


async def test_an_identity_of_a_plugins_own_kind_is_one():
    class Person(Identity, frozen=True):
        age: int = 7

    assert await gate(Says(Person(subject="ana"))).identify(BEARER, peer="p") == Person(
        subject="ana"
    )


async def test_an_authenticator_that_is_no_coroutine_identifies_nobody():
    class Plain(Says):
        def authenticate(self, credentials):
            return ANA

    with pytest.raises(Unavailable):
        await gate(Plain(None)).identify(BEARER, peer="p")


async def test_an_authenticator_that_hangs_is_a_503(monkeypatch, caplog):
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0)
    with pytest.raises(Unavailable):
        await gate(Hangs(), Says(ANA)).identify(BEARER, peer="p")
    assert "LateError: not done within 0 s" in caplog.text


async def test_who_goes_while_an_authenticator_hangs_is_no_failure_of_it():
    hanging = gate(Hangs())
    asking = asyncio.ensure_future(hanging.identify(BEARER, peer="p"))
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.wait([asking])

    assert asking.cancelled()
    assert hanging._failures == {}


@pytest.mark.parametrize(**odd_errors)
async def test_whatever_a_rate_limiter_raises_is_a_503(error):
    class Broken(RateLimiter):
        async def spend(self, spendings):
            raise error

    broken = gate(limiter=Broken())
    with pytest.raises(Unavailable, match="^the broker could not count this request$"):
        await broken.spend(ANA, "publish", "q")
    assert broken._failures == {("limits", "count"): 1}


QUOTA = Quota(name="all", limit=9, window_seconds=60, remaining=8, reset_seconds=60)


@pytest.mark.parametrize(
    "answer",
    [
        None,
        True,
        Allowance(allowed=None),
        Allowance(allowed=1),
        Allowance(allowed=True, quotas=None),
        Allowance(allowed=True, quotas=[QUOTA]),
        Allowance(allowed=True, quotas=("all",)),
        Allowance(
            allowed=True,
            quotas=(msgspec.structs.replace(QUOTA, remaining="8\r\nset-cookie: a=b"),),
        ),
        Allowance(allowed=False, retry_after="soon"),
        Allowance(allowed=False, retry_after=float("nan")),
        Allowance(allowed=False, retry_after=float("inf")),
        Allowance(allowed=False, retry_after=-1),
        Allowance(allowed=False, refused_by=7),
    ],
)
async def test_what_is_no_allowance_lets_nobody_through(answer, caplog):
    with pytest.raises(Unavailable):
        await gate(limiter=Limiter(answer)).spend(ANA, "publish", "q")
    assert caplog.messages == ['plugin "limits" failed to count']


async def test_a_rate_limiter_that_hangs_is_a_503(monkeypatch):
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0)
    with pytest.raises(Unavailable):
        await gate(limiter=HangingLimiter()).spend(ANA, "publish", "q")


@pytest.mark.parametrize(**odd_errors)
def test_whatever_an_authorizer_raises_is_a_503(error):
    broken = gate(authorizer=Permits(error))
    with pytest.raises(Unavailable):
        broken.permit(ANA, "publish", "orders-eu")
    with pytest.raises(Unavailable):
        broken.permit_some(ANA, "publish")
    assert broken._failures == {("scopes", "permit"): 2}


@pytest.mark.parametrize("answer", [None, 1, "yes", [True], yes])
def test_what_is_only_true_in_some_sense_permits_nothing(answer, caplog):
    broken = gate(authorizer=Permits(answer))
    with pytest.raises(Unavailable):
        broken.permits(ANA, "publish", "orders-eu")
    with pytest.raises(Unavailable):
        broken.permit_some(ANA, "publish")
    assert caplog.messages == ['plugin "scopes" failed to permit']
    assert "returned neither True nor False" in caplog.text


def test_a_token_does_not_show_in_a_repr():
    assert "t0p-secret" not in repr(BEARER)
    assert "s1gnature" not in repr(SIGNED)
    assert "b0dy" not in repr(SIGNED)
