"""Webhooks of two senders: by the contract of authenticators, one by one, and in a broker."""

import asyncio
import hmac
from base64 import b64decode, b64encode
from itertools import count
from pathlib import Path

import pytest
from broker import ConfigError, Request, Unauthenticated, Unavailable
from broker.testing import AuthenticatorContract, ManualClock, assert_config_used, make_context
from broker_auth_webhook import authenticator as module
from broker_auth_webhook import config_schema, provide_authenticator
from pydantic import ValidationError

GITHUB = "It's a Secret to Everybody"
SHOP = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SHOP_BEFORE = "whsec_plJ3nmyCDGBKInavdOK15jsl4T+gTqYq"
STRANGE = "whsec_qZ3Kj0eWm5lYx8NvTf2BoRcHs6UgPdXi"
GITHUB_SENDER = {"scheme": "github", "secrets": [GITHUB], "scopes": ["publish:deploys"]}
SHOP_SENDER = {
    "scheme": "standard",
    "secrets": [SHOP, SHOP_BEFORE],
    "scopes": ["publish:orders-*"],
}
CONFIG = {"senders": {"github": GITHUB_SENDER, "shop": SHOP_SENDER}}
BODY = b'{"ref": "refs/heads/main"}'
JSON = {"content-type": "application/json"}
DEPLOYS, ORDERS = (f"/queues/{name}/messages?raw=true" for name in ("deploys", "orders-eu"))


def github(body=BODY, *, secret=GITHUB):
    """Return the headers of a webhook that GitHub signs."""
    return {**JSON, "x-hub-signature-256": f"sha256={mac(secret.encode(), body).hex()}"}


def standard(at, body=BODY, *, number="msg_1", secrets=(SHOP,)):
    """Return the headers of a Standard Webhook that is sent at this time, in seconds."""
    signed = f"{number}.{at}.".encode() + body
    keys = [b64decode(secret.removeprefix("whsec_")) for secret in secrets]
    signatures = " ".join(f"v1,{b64encode(mac(key, signed)).decode()}" for key in keys)
    named = {"webhook-id": number, "webhook-timestamp": f"{at}", "webhook-signature": signatures}
    return {**JSON, **named}


def mac(key, signed):
    return hmac.digest(key, signed, "sha256")


def request_of(headers, body=BODY):
    return Request(method="POST", path=DEPLOYS, headers=headers, body=body, peer="192.0.2.1")


def make_authenticator(tmp_path: Path, clock: ManualClock, config=CONFIG):
    options = config_schema().model_validate(config)
    return provide_authenticator(make_context(tmp_path, clock, config=options))


def seconds(clock):
    return clock.now() // 1000


class TestGithub(AuthenticatorContract):
    contract = "1.0"
    secrets = (GITHUB, SHOP, SHOP_BEFORE)

    def make_authenticator(self, tmp_path, clock):
        self.clock = clock
        return make_authenticator(tmp_path, clock)

    async def valid(self, authenticator):
        return request_of(github())

    async def bad(self, authenticator):
        now = seconds(self.clock)
        by_shop = {"x-hub-signature-256": standard(now)["webhook-signature"]}
        return {
            "with another secret": request_of(github(secret="It's another")),
            "of another body": request_of(github(b"{}")),
            "in capitals": request_of({"x-hub-signature-256": f"SHA256={'0' * 64}"}),
            "empty": request_of({"x-hub-signature-256": ""}),
            "that of the shop": request_of(github(secret=SHOP)),
            "in the form of the shop": request_of(by_shop, f"msg_1.{now}.".encode() + BODY),
        }


class TestStandardWebhooks(AuthenticatorContract):
    contract = "1.0"
    capabilities = ("expires", "once")
    secrets = (GITHUB, SHOP, SHOP_BEFORE)

    def make_authenticator(self, tmp_path, clock):
        self.clock, self.numbers = clock, count()
        return make_authenticator(tmp_path, clock)

    async def valid(self, authenticator):
        number = f"msg_{next(self.numbers)}"
        return request_of(standard(seconds(self.clock), number=number))

    async def bad(self, authenticator):
        now = seconds(self.clock)
        good = standard(now)
        return {
            "with another secret": request_of(standard(now, secrets=[STRANGE])),
            "of another body": request_of(standard(now, b"{}")),
            "of another id": request_of({**good, "webhook-id": "msg_x"}),
            "of another time": request_of({**good, "webhook-timestamp": f"{now + 1}"}),
            "expired": request_of(standard(now - 301)),
            "too early": request_of(standard(now + 301)),
            "without an id": request_of({**good, "webhook-id": ""}),
            "with a time that is none": request_of(standard("now")),
            "with a time that is too long": request_of(standard("1" * 5000)),
            "with an id and a time in one": request_of(
                standard(now, number=f"msg_1.{now}"), f"{now}.{BODY}".encode()
            ),
            "with a piece of the body in the id": request_of(
                {**standard(now, b"9.%b" % BODY), "webhook-id": f"msg_1.{now}"}
                | {"webhook-timestamp": "9"}
            ),
            "with a piece of the body in the time": request_of(
                {**standard(now, b"9.%b" % BODY), "webhook-timestamp": f"{now}.9"}
            ),
            "without a signature": request_of({**good, "webhook-signature": ""}),
            "without a version": request_of({**good, "webhook-signature": "x"}),
            "alone": request_of({"webhook-signature": good["webhook-signature"]}),
        }


@pytest.fixture
def ask(tmp_path, clock):
    """Ask for whose a request is: `ask(headers, body)`."""
    authenticator = make_authenticator(tmp_path, clock)

    def ask(headers, body=BODY):
        credentials = authenticator.read(request_of(headers, body))
        return asyncio.run(authenticator.authenticate(credentials))

    return ask


def test_a_sender_may_publish_where_the_config_says(ask, clock):
    by_github, by_shop = ask(github()), ask(standard(seconds(clock)))

    assert (by_github.subject, by_github.scopes) == ("webhook:github", {"publish:deploys"})
    assert (by_shop.subject, by_shop.scopes) == ("webhook:shop", {"publish:orders-*"})
    assert by_shop.expires_at == clock.now() + 300_000


def test_the_signature_of_githubs_own_example_is_right(ask):
    signature = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    headers = {"x-hub-signature-256": f"sha256={signature}"}

    assert ask(headers, b"Hello, World!").subject == "webhook:github"


@pytest.mark.parametrize(
    "secrets", [[SHOP], [SHOP_BEFORE], [SHOP_BEFORE, SHOP], [STRANGE, SHOP]], ids=len
)
def test_a_secret_that_takes_the_place_of_another_counts_beside_it(ask, clock, secrets):
    assert ask(standard(seconds(clock), secrets=secrets)).subject == "webhook:shop"


def test_a_webhook_that_is_sent_again_with_fewer_signatures_came_already(ask, clock):
    ask(standard(seconds(clock), secrets=[SHOP, SHOP_BEFORE]))
    for secret in (SHOP, SHOP_BEFORE):
        with pytest.raises(Unauthenticated, match="came already"):
            ask(standard(seconds(clock), secrets=[secret]))


def test_a_sender_that_tries_again_later_is_taken(ask, clock):
    ask(standard(seconds(clock)))
    clock.advance(5)
    assert ask(standard(seconds(clock))).subject == "webhook:shop"


@pytest.mark.parametrize("ahead", [-300, 0, 300])
def test_a_webhook_is_remembered_for_as_long_as_it_would_be_taken(ask, clock, ahead):
    headers = standard(seconds(clock) + ahead)
    ask(headers)
    clock.advance(300 + ahead)
    with pytest.raises(Unauthenticated, match="came already"):
        ask(headers)
    clock.advance(1)
    with pytest.raises(Unauthenticated, match="another time than now"):
        ask(headers)


def test_no_more_are_remembered_than_there_is_room_for(ask, clock, monkeypatch):
    monkeypatch.setattr(module, "MOST_REMEMBERED", 2)
    for number in "ab":
        ask(standard(seconds(clock), number=number))
    with pytest.raises(Unavailable, match="send it again later"):
        ask(standard(seconds(clock), number="c"))
    clock.advance(601)
    assert ask(standard(seconds(clock), number="c")).subject == "webhook:shop"


@pytest.mark.parametrize(
    ("sender", "problem"),
    [
        ({**GITHUB_SENDER, "secrets": ["short"]}, "expected 16 bytes or more"),
        ({**SHOP_SENDER, "secrets": ["whsec_c2hvcnQ="]}, "expected 16 bytes or more"),
        ({**SHOP_SENDER, "secrets": ["whsec_no Base64"]}, "base64"),
        ({**SHOP_SENDER, "secrets": []}, "at least 1 item"),
        ({**GITHUB_SENDER, "scopes": ["consume:deploys"]}, "should match pattern"),
        ({**GITHUB_SENDER, "scopes": ["admin"]}, "should match pattern"),
        ({**GITHUB_SENDER, "scheme": "gitlab"}, "'github' or 'standard'"),
    ],
)
def test_a_config_that_is_wrong_is_refused_and_tells_no_secret(sender, problem):
    with pytest.raises(ValidationError, match=problem) as caught:
        config_schema().model_validate({"senders": {"acme": sender}})
    assert not any(secret in f"{caught.value!s}" for secret in (*sender["secrets"],))


@pytest.fixture
def client(broker_factory):
    return broker_factory(["auth_webhook"], config={"plugins": {"auth_webhook": CONFIG}})


async def test_a_webhook_is_a_message_as_it_is(client, clock):
    for queue, path, headers in (
        ("deploys", DEPLOYS, github()),
        ("orders-eu", ORDERS, standard(seconds(clock))),
    ):
        await client.create_queue(queue)
        answer = await client.post(path, body=BODY, headers=headers)
        assert answer.status == 201, answer.body
        [message] = await client.lease(queue)
        assert message["content"].encode() == BODY
        assert message["content_type"] == "application/json"


async def test_who_could_do_it_anonymously_cannot_with_a_bad_signature(client, clock):
    await client.create_queue("deploys")
    for headers in (github(b"{}"), standard(seconds(clock), b"{}"), {"webhook-id": "msg_1"}):
        assert (await client.post(DEPLOYS, body=BODY, headers=headers)).status == 401
    assert (await client.post(DEPLOYS, body=BODY)).status == 201


async def test_a_sender_publishes_nowhere_else_and_does_nothing_else(client):
    await client.create_queue("payments")
    await client.create_queue("deploys")
    elsewhere = "/queues/payments/messages?raw=true"
    assert (await client.post(elsewhere, body=BODY, headers=github())).status == 404
    consume = "/queues/deploys/messages/consume"
    assert (await client.get(consume, headers=github(b""))).status == 403


async def test_what_is_larger_than_what_is_read_of_everybody_is_refused(client, broker_factory):
    large = b"x" * 65_537
    config = {"broker": {"anonymous": False}, "plugins": {"auth_webhook": CONFIG}}
    async with broker_factory(["auth_webhook"], config=config) as closed:
        answer = await closed.post(DEPLOYS, body=large, headers=github(large))
    assert answer.status == 401
    assert "no more than 65536 bytes" in answer.json()["detail"]


def test_a_broker_says_what_is_wrong_with_its_config(broker_factory):
    sender = {**SHOP_SENDER, "secrets": ["whsec_no Base64"]}
    config = {"plugins": {"auth_webhook": {"senders": {"shop": sender}}}}
    with pytest.raises(ConfigError, match=r"plugins\.auth_webhook\.senders\.shop") as caught:
        broker_factory(["auth_webhook"], config=config)
    assert "no Base64" not in str(caught.value)


async def test_every_option_is_used(broker_factory, clock):
    async def send(client):
        await client.post(ORDERS, body=BODY, headers=standard(seconds(clock)))

    await assert_config_used(broker_factory, "auth_webhook", CONFIG, exercise=send)


async def test_clients_are_told_which_headers_are_signed(client):
    answer = await client.get("/openapi.json")
    document = answer.json()
    publish = document["paths"]["/queues/{queue}/messages"]["post"]["security"]

    assert [*map(list, publish)] == [["github"], ["standard-webhook"], []]
    assert document["components"]["securitySchemes"]["github"]["name"] == "X-Hub-Signature-256"
