"""Each example of docs/hooks.md is enabled in a broker, and does what it says."""

from importlib import import_module

import click
import pytest
from click.testing import CliRunner

from broker import Authenticator, ConfigError, Identity, hookimpl
from broker.hookimpls import hook_names
from broker.testing import make_context
from tools.reference.hooks import EXAMPLES, example


def module(hook):
    return import_module(f"tools.reference.examples.{hook}")


@pytest.fixture
def acme(broker_factory):
    """Make the client of a broker with the example of a hook, as the plugin `acme`."""

    def make(hook, *, config=None, **added):
        return broker_factory(added={"acme": module(hook), **added}, config=config)

    return make


class Tester:
    """A plugin that takes any token for a name, which may do everything."""

    @hookimpl
    def provide_authenticator(self, plugin):
        class Names(Authenticator):
            async def authenticate(self, credentials):
                return Identity(subject=credentials.token, scopes=frozenset({"admin"}))

        return Names()


def test_each_hook_has_an_example_of_its_own():
    assert {path.stem for path in EXAMPLES.glob("[a-z]*.py")} == {*hook_names()}
    for hook in hook_names():
        assert f"def {hook}(" in example(hook)


def test_a_config_without_what_its_schema_demands_is_refused(acme):
    with pytest.raises(ConfigError, match=r"plugins\.acme\.password"):
        acme("config_schema")


async def test_a_config_is_what_its_schema_makes_of_it(acme):
    seen = []

    class Curious:
        config_schema = staticmethod(module("config_schema").config_schema)

        @hookimpl
        def provide_observer(self, plugin):
            seen.append(plugin.config)

    tables = {"plugins": {"curious": {"password": "open"}, "acme": {"password": "sesame"}}}
    async with acme("config_schema", config=tables, curious=Curious()):
        pass

    [config] = seen
    assert (config.password.get_secret_value(), config.path) == ("open", "acme.db")


def test_a_command_is_added(tmp_path, clock):
    cli = click.Group()
    module("register_commands").register_commands(cli)

    done = CliRunner().invoke(cli, ["acme", "where", "--json"], obj=make_context(tmp_path, clock))

    assert done.output == f'{{"path":"{tmp_path}/acme.db"}}\n'


async def test_a_limit_is_spent_and_comes_back_with_the_next_minute(acme, clock):
    async with acme("provide_rate_limiter") as client:
        await client.create_queue("orders")
        batch = {"messages": [{"content": "tea"}] * 99}
        first = await client.post("/queues/orders/messages/batch", json=batch)
        second = await client.post("/queues/orders/messages/batch", json=batch)
        clock.advance(60)
        third = await client.post("/queues/orders/messages/batch", json=batch)

    assert [first.status, second.status, third.status] == [200, 429, 200]
    assert 0 < int(second.headers["retry-after"]) <= 60


@pytest.mark.parametrize(
    ("token", "status"),
    [
        ("acme-2b0f6a", 201),
        ("acme-000000", 401),  # of this kind, and wrong
        ("other", 401),  # nobody's
    ],
)
async def test_a_key_lets_in_whoever_has_it(acme, token, status):
    async with acme("provide_authenticator") as client:
        await client.create_queue("orders-eu")
        answer = await client.post(
            "/queues/orders-eu/messages", json={"content": "tea"}, token=token
        )

    assert answer.status == status


async def test_a_queue_belongs_to_whom_it_is_called_after(acme):
    async with acme("provide_authorizer", names=Tester()) as client:
        own = await client.put("/queues/shop.orders", json={}, token="shop")
        foreign = await client.put("/queues/shop.returns", json={}, token="bar")

    assert (own.status, foreign.status) == (201, 404)


async def test_messages_are_stamped_and_nobody_stamps_their_own(acme):
    async with acme("provide_interceptor", names=Tester()) as client:
        client.token = "shop"
        await client.create_queue("orders")
        await client.publish("orders", "tea")
        [message] = await client.lease("orders")
        forged = await client.post(
            "/queues/orders/messages", json={"content": "tea", "headers": {"published-by": "me"}}
        )

    assert message["headers"] == {"published-by": "shop"}
    assert forged.status == 422
    assert forged.json()["errors"][0]["field"] == "headers.published-by"


async def test_a_failure_is_warned_of(acme, caplog):
    async with acme("provide_observer") as client:
        await client.create_queue("orders")
        await client.publish("orders", "tea")
        [message] = await client.lease("orders")
        await client.settle(message["receipt"], "reject", reason="it is coffee")

    lines = [r.getMessage() for r in caplog.records if r.name == "broker.plugins.acme"]
    assert lines == ["message.failed in orders: it is coffee"]


async def test_a_route_is_added(acme):
    async with acme("provide_transport") as client:
        await client.create_queue("orders")
        await client.publish("orders", "tea")
        answer = await client.get("/acme/orders/length")
        missing = await client.get("/acme/nothing/length")

    assert (answer.status, answer.body) == (200, b"1\n")
    assert missing.status == 404


async def test_a_queue_is_there_whenever_the_broker_is(acme):
    async with acme("provide_lifespan") as client:
        answer = await client.get("/queues/acme-inbox")

    assert answer.status == 200


async def test_messages_are_kept_where_the_storage_says(acme):
    async with acme("provide_storage") as client:
        await client.create_queue("orders")
        await client.publish("orders", "tea")
        [message] = await client.lease("orders")
        await client.ack(message["receipt"])
        again = await client.lease("orders")

    assert client.broker.info.storage == "acme"
    assert (message["content"], again) == ("tea", [])
