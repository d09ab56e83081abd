"""The routes as functions: no web framework, no server, a broker over the memory storage."""

import asyncio
import json

import pytest

from broker import BrokerInfo, Request, Transport
from broker.builtin.memory import MemoryStorage
from broker.builtin.rest.transport import RestTransport
from broker.builtin.scopes import ScopeAuthorizer
from broker.engine import Broker
from broker.providers import Providers
from broker.testing import ManualClock

ROUTES = {
    "GET /",
    "GET /healthz",
    "GET /readyz",
    "GET /stats",
    "GET /logs",
    "GET /logs/{name}",
    "GET /queues",
    "POST /queues",
    "GET /queues/{queue}",
    "PUT /queues/{queue}",
    "PATCH /queues/{queue}",
    "DELETE /queues/{queue}",
    "POST /queues/{queue}/purge",
    "POST /queues/{queue}/redrive",
    "POST /queues/{queue}/pause",
    "POST /queues/{queue}/resume",
    "POST /queues/{queue}/messages",
    "POST /queues/{queue}/messages/batch",
    "POST /queues/{queue}/messages/lease",
    "GET /queues/{queue}/messages/consume",
    "GET /queues/{queue}/messages/stream",
    "GET /queues/{queue}/messages",
    "GET /messages/{id}",
    "DELETE /messages/{id}",
    "POST /messages/settle",
    "POST /messages/{id}/ack",
    "POST /messages/{id}/nack",
    "POST /messages/{id}/extend",
    "POST /messages/{id}/release",
}
HOT = {
    "POST /queues/{queue}/messages",
    "POST /queues/{queue}/messages/batch",
    "POST /queues/{queue}/messages/lease",
    "GET /queues/{queue}/messages/consume",
    "GET /queues/{queue}/messages/stream",
    "POST /messages/settle",
    "POST /messages/{id}/ack",
    "POST /messages/{id}/nack",
}


@pytest.fixture
def broker():
    clock = ManualClock()
    storage = MemoryStorage()
    asyncio.run(storage.open())
    info = BrokerInfo(
        version="1", started_at=0, storage="memory", capabilities=storage.capabilities
    )
    providers = Providers(storage=("memory", storage), authorizer=("scopes", ScopeAuthorizer()))
    return Broker(
        providers,
        clock=clock,
        info=info,
        max_queues=1000,
        max_requests=1000,
        max_waiting=1000,
        max_waiting_per_identity=1000,
        max_streams=1000,
        max_streams_per_identity=30,
        anonymous=True,
    )


@pytest.fixture
def transport(broker, tmp_path):
    return RestTransport(broker, data_dir=tmp_path)


def router(transport):
    """Call a route by its name."""
    handlers = {f"{route.method} {route.path}": route.handler for route in transport.routes()}

    async def call(name, body=None, **params):
        method, _, path = name.partition(" ")
        request = Request(
            method=method,
            path=path.format(**params),
            params=params,
            headers={} if body is None else {"content-type": "application/json"},
            body=b"" if body is None else json.dumps(body).encode(),
        )
        return await handlers[name](request)

    return call


def test_the_routes_are_these(transport):
    assert isinstance(transport, Transport)
    assert [f"{route.method} {route.path}" for route in transport.routes()] == list(
        dict.fromkeys(f"{route.method} {route.path}" for route in transport.routes())
    )
    assert {f"{route.method} {route.path}" for route in transport.routes()} == ROUTES
    assert {f"{route.method} {route.path}" for route in transport.routes() if route.hot} == HOT


def test_every_route_says_what_it_does(transport):
    assert [route.path for route in transport.routes() if not route.handler.__doc__] == []


@pytest.mark.parametrize(
    "name", ["POST /queues/{queue}/messages/lease", "GET /queues/{queue}/messages/consume"]
)
async def test_what_was_not_delivered_is_given_back(broker, transport, name):
    call = router(transport)
    await call("POST /queues", {"name": "q"})
    await call("POST /queues/{queue}/messages", {"content": "x"}, queue="q")

    response = await call(name, queue="q")
    await response.undelivered()

    looked_at = json.loads((await call("GET /messages/{id}", id="1")).body)
    assert (looked_at["status"], looked_at["delivery_count"]) == ("pending", 0)


@pytest.mark.parametrize(
    "name", ["POST /queues/{queue}/messages/lease", "GET /queues/{queue}/messages/consume"]
)
async def test_where_nothing_was_leased_nothing_is_given_back(transport, name):
    call = router(transport)
    await call("POST /queues", {"name": "q"})

    assert (await call(name, queue="q")).undelivered is None
