"""A whole broker with the plugin: what is refused is nowhere, whoever publishes it and how."""

import json

import pytest
from broker import ConfigError
from broker.testing import assert_config_used


@pytest.fixture
def broker(broker_factory, tmp_path):
    schema = tmp_path / "order.json"
    schema.write_text('{"required": ["id"]}')
    tables = {"plugins": {"json_schema": {"schemas": {"orders-*": str(schema)}}}}
    return broker_factory(["json_schema"], config=tables)


def message(value):
    return {"content": json.dumps(value), "content_type": "application/json"}


async def test_nothing_of_a_batch_with_a_bad_message_is_stored(broker, recorder):
    async with broker as client:
        await client.create_queue("orders-eu")
        batch = {"messages": [message({"id": 1}), message({}), message({"id": 3})]}
        refused = await client.post("/queues/orders-eu/messages/batch", json=batch)
        stored = await client.get("/queues/orders-eu/messages")

    assert (refused.status, refused.json()["code"]) == (422, "rejected")
    assert refused.json()["errors"] == [
        {"field": "messages[1].content", "message": "\"\" 'id' is a required property"}
    ]
    assert stored.json()["messages"] == []
    assert recorder.told("orders-eu") == ["queue.created"]


async def test_a_settlement_that_publishes_what_is_refused_settles_nothing(broker):
    async with broker as client:
        await client.create_queue("orders-eu")
        await client.publish("orders-eu", **message({"id": 1}))
        [leased] = await client.lease("orders-eu")
        following = {"queue": "orders-eu", **message({"next": leased["receipt"]})}
        answer = await client.post(
            "/messages/settle", json={"ack": [leased["receipt"]], "publish": [following]}
        )
        await client.ack(leased["receipt"])

    assert (answer.status, answer.json()["code"]) == (422, "rejected")


async def test_other_queues_take_what_they_like(broker):
    async with broker as client:
        await client.create_queue("mail")
        await client.publish("mail", "no JSON")
        [leased] = await client.lease("mail")

    assert leased["content"] == "no JSON"


async def test_a_broken_schema_ends_the_start_with_the_key_the_file_and_the_place(broker, tmp_path):
    schema = tmp_path / "order.json"
    schema.write_text('{"properties": {"id": {"type": "strng"}}}')

    with pytest.raises(ConfigError) as refused:
        async with broker:
            pass
    assert str(refused.value) == (
        f'plugins.json_schema.schemas."orders-*": {schema}#/properties/id/type: '
        "'strng' is not valid under any of the given schemas"
    )


async def test_a_relative_path_starts_at_the_data_directory(broker_factory, tmp_path):
    tables = {"plugins": {"json_schema": {"schemas": {"q": "schemas/q.json"}}}}
    with pytest.raises(ConfigError, match=rf"{tmp_path}/data/schemas/q\.json: cannot be read"):
        async with broker_factory(["json_schema"], config=tables):
            pass


async def test_every_option_is_used(broker_factory, tmp_path):
    schema = tmp_path / "order.json"
    schema.write_text("{}")
    options = {"schemas": {"*": str(schema)}}

    async def publish(client):
        await client.create_queue("orders")
        for content_type in ("application/json", "text/plain"):
            body = {"content": "{}", "content_type": content_type}
            await client.post("/queues/orders/messages", json=body)

    await assert_config_used(broker_factory, "json_schema", options, exercise=publish)
