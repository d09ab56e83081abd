"""The fixtures of the kit, as tests of a plugin's author use them."""

import pytest

from broker import ConfigError, Event, Interceptor, PluginError, hookimpl
from broker.testing import Client, RefusedError


class Stamping:
    """A plugin that stamps what is published."""

    @hookimpl
    def provide_interceptor(self):
        return Stamper()


class Stamper(Interceptor):
    async def before_publish(self, identity, batch):
        import msgspec

        return [msgspec.structs.replace(one, headers={"by": identity.subject}) for one in batch]


async def test_a_message_goes_all_the_way_with_the_client(client, clock, recorder):
    await client.create_queue("q", max_deliveries=3)

    message_id = await client.publish("q", "tea", priority=7)
    [leased] = await client.lease("q")
    await client.ack(leased["receipt"])

    assert (leased["id"], leased["content"], leased["priority"]) == (message_id, "tea", 7)
    assert recorder.told("q") == [
        "queue.created",
        "message.published",
        "message.leased",
        "message.acked",
    ]
    assert {event.at for event in recorder.events} == {clock.now()}
    assert all(isinstance(event, Event) for event in recorder.events)


async def test_an_unexpected_answer_is_told_in_words(client):
    with pytest.raises(RefusedError, match="answered 404: .*nowhere") as refused:
        await client.publish("nowhere", "tea")

    assert refused.value.answer.json()["type"].endswith(":queue-not-found")


async def test_a_lease_lapses_when_the_test_says_so(client, clock):
    await client.create_queue("q")
    await client.publish("q", "tea")
    await client.lease("q", lease_seconds=30)

    assert await client.lease("q") == []
    clock.advance(30)
    assert [message["delivery_count"] for message in await client.lease("q")] == [2]


async def test_plugins_that_are_not_installed_can_be_added(broker_factory):
    async with broker_factory(added={"stamping": Stamping()}) as client:
        await client.create_queue("q")
        await client.publish("q", "tea")
        [leased] = await client.lease("q")

    assert leased["headers"] == {"by": "anonymous"}


async def test_the_config_is_that_of_a_file(broker_factory):
    async with broker_factory(config={"broker": {"anonymous": False}}) as client:
        assert (await client.get("/queues")).status == 401

    with pytest.raises(ConfigError, match="max_quues"):
        broker_factory(config={"broker": {"max_quues": 1}})


def test_a_plugin_that_is_wrong_is_named(broker_factory):
    class Wrong:
        @hookimpl
        def provide_storrage(self):
            return None

    with pytest.raises(PluginError, match='plugin "wrong": unknown hook "provide_storrage"'):
        broker_factory(added={"wrong": Wrong()})


async def test_a_client_that_was_not_entered_says_so(broker_factory):
    with pytest.raises(AssertionError, match="enter the client first"):
        await broker_factory().get("/")


def test_the_client_of_a_plain_test_is_not_entered(client):
    assert isinstance(client, Client)


def test_a_live_server_is_a_process_with_a_port(live_server):
    import urllib.request

    server = live_server(["storage_sqlite"])

    with urllib.request.urlopen(f"{server.url}/healthz") as answer:
        assert answer.status == 200
    server.stop()
    assert server.process.returncode == 0


def test_a_live_server_that_does_not_start_shows_why(live_server):
    with pytest.raises(AssertionError, match='plugin "nothing" is not installed'):
        live_server(["nothing"])
